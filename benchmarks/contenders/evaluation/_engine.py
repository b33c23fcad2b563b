"""The engine, called in three ways with the context that UnleashClient makes."""

import json

from _contexts import UNLEASH
from _state import STATE
from yggdrasil_engine.engine import UnleashEngine

from serverless_flags.clients._library import EngineLibrary

_FIXED = {
    "appName": "evaluation",
    "environment": "default",
    "currentTime": "2020-02-02T02:02:02.000002+00:00",
}
CONTEXTS = {
    kind: {**_FIXED, "properties": {}, **(context or {})}
    for kind, context in UNLEASH.items()
}
"""The complete contexts; making them is the work of a client, not of the engine."""


def new_engine():
    """Return an engine that has the flags."""
    engine = UnleashEngine()
    engine.take_state(json.dumps(STATE))
    return engine


class Calls:
    """The library's check and count calls, as the client `lean` makes them."""

    def __init__(self):
        self._engine = new_engine()
        self._pointer = self._engine.state
        self._library = EngineLibrary(self._engine)

    def is_enabled(self, name, context):
        """Turn the context into JSON, check the flag and count."""
        return self.is_enabled_in(name.encode(), json.dumps(context).encode())

    def is_enabled_in(self, name, context):
        """Check the flag and count, with a context that is JSON already."""
        library = self._library
        answer = library.check_enabled(self._pointer, name, context, b"{}")
        enabled = bool(library.read(answer))
        library.count_toggle(self._pointer, name, enabled)
        return enabled

    def get_variant(self, name, context):
        """Turn the context into JSON, check the flag and count."""
        return self.get_variant_in(name.encode(), json.dumps(context).encode())

    def get_variant_in(self, name, context):
        """Check the flag and count, with a context that is JSON already."""
        library = self._library
        answer = library.check_variant(self._pointer, name, context, b"{}")
        found = library.read(answer)
        library.count_toggle(self._pointer, name, found["featureEnabled"])
        library.count_variant(self._pointer, name, found["name"].encode())
        return found
