"""The flags, as Unleash's server sends them."""

import json
import tempfile
from pathlib import Path

from _contexts import USERS

_ONLY_USERS = {
    "contextName": "userId",
    "operator": "IN",
    "values": USERS,
    "caseInsensitive": False,
    "inverted": False,
}


def _feature(name, constraints=(), variants=()):
    rollout = {
        "name": "flexibleRollout",
        "parameters": {"rollout": "100", "stickiness": "default", "groupId": name},
        "constraints": list(constraints),
        "segments": [],
        "variants": [],
    }
    return {
        "name": name,
        "type": "release",
        "enabled": True,
        "project": "default",
        "stale": False,
        "impressionData": False,
        "strategies": [rollout],
        "variants": list(variants),
    }


_VARIANT = {
    "name": "blue",
    "weight": 1000,
    "weightType": "variable",
    "stickiness": "default",
    "payload": {"type": "string", "value": "navy"},
    "overrides": [],
}
STATE = {
    "version": 2,
    "features": [
        _feature("everybody"),
        _feature("users", [_ONLY_USERS]),
        _feature("text for everybody", variants=[_VARIANT]),
        _feature("text", [_ONLY_USERS], [_VARIANT]),
        *(_feature(f"other-{number}", [_ONLY_USERS]) for number in range(96)),
    ],
    "segments": [],
}
BLUE = {
    "name": "blue",
    "payload": {"type": "string", "value": "navy"},
    "enabled": True,
    "feature_enabled": True,
}
"""The answer of UnleashClient's ``get_variant``."""


def snapshot():
    """Write the state into a file; return its path."""
    path = Path(tempfile.mkdtemp()) / "flags.json"
    path.write_text(json.dumps(STATE))
    return path


def raw_client():
    """Return UnleashClient with a given flag state, as its documentation shows."""
    from UnleashClient import UnleashClient
    from UnleashClient.cache import FileCache

    cache = FileCache("evaluation", directory=tempfile.mkdtemp())
    cache.bootstrap_from_dict(STATE)
    client = UnleashClient(
        url="http://127.0.0.1:9",
        app_name="evaluation",
        cache=cache,
        disable_metrics=True,
        disable_registration=True,
        refresh_interval=3600,
    )
    client.initialize_client(fetch_toggles=False)
    return client


def ask_unleash(timing, client):
    """Time all evaluations of a client that has UnleashClient's methods."""
    from _contexts import UNLEASH, enabled, flag_for, text_for, variant

    for kind, context in UNLEASH.items():
        asked = (flag_for(kind), context)
        timing.call(enabled(kind), client.is_enabled, asked, expected=True)
        asked = (text_for(kind), context)
        timing.call(variant(kind), client.get_variant, asked, expected=BLUE)
