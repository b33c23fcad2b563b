"""The engine alone: read a file and evaluate one flag."""

import os

from _idle import show
from yggdrasil_engine.engine import UnleashEngine

engine = UnleashEngine()
with open(os.environ["SERVERLESS_FLAGS_SNAPSHOT"]) as file:
    engine.take_state(file.read())
show(engine.is_enabled("flag-0", {"userId": "7"}).is_enabled)
