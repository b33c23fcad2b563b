"""The engine alone: read a file and evaluate one flag; no contender can be faster."""

import os

from yggdrasil_engine.engine import UnleashEngine

engine = UnleashEngine()
with open(os.environ["SERVERLESS_FLAGS_SNAPSHOT"]) as file:
    engine.take_state(file.read())
enabled = engine.is_enabled("flag-0", {"userId": "7"}).is_enabled
print(enabled, flush=True)

assert enabled
os._exit(0)
