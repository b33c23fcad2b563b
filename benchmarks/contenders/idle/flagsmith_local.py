"""Flagsmith evaluating locally in its offline mode, from an environment document."""

import os

from _idle import show
from flagsmith import Flagsmith
from flagsmith.offline_handlers import LocalFileHandler

client = Flagsmith(
    offline_mode=True,
    offline_handler=LocalFileHandler(os.environ["FLAGSMITH_FLAGS"]),
)
show(client.get_identity_flags("7").is_feature_enabled("flag-0"))
