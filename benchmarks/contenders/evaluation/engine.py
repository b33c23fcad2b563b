"""The raw engine: its public methods, its library calls, and these with JSON ready."""

import json
import os

from _contexts import enabled, flag_for, text_for, variant
from _engine import CONTEXTS, Calls, new_engine
from timing import Timing

ANSWER = {
    "name": "blue",
    "payload": {"type": "string", "value": "navy"},
    "enabled": True,
    "featureEnabled": True,
}


def _public(timing):
    engine = new_engine()

    def on(name, context):
        return engine.is_enabled(name, context).is_enabled

    def text(name, context):
        return engine.get_variant(name, context).variant.name

    for kind, context in CONTEXTS.items():
        timing.call(enabled(kind), on, (flag_for(kind), context), expected=True)
        asked = (text_for(kind), context)
        timing.call(variant(kind), text, asked, expected="blue")


def _calls(timing):
    calls = Calls()
    for kind, context in CONTEXTS.items():
        asked = (flag_for(kind), context)
        timing.call(enabled(kind), calls.is_enabled, asked, expected=True)
        asked = (text_for(kind), context)
        timing.call(variant(kind), calls.get_variant, asked, expected=ANSWER)


def _ready(timing):
    calls = Calls()
    for kind, context in CONTEXTS.items():
        encoded = json.dumps(context).encode()
        asked = (flag_for(kind).encode(), encoded)
        timing.call(enabled(kind), calls.is_enabled_in, asked, expected=True)
        asked = (text_for(kind).encode(), encoded)
        timing.call(variant(kind), calls.get_variant_in, asked, expected=ANSWER)


timing = Timing()
{"public": _public, "calls": _calls, "ready": _ready}[os.environ["HOW"]](timing)
timing.show()
