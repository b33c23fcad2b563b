"""Flagsmith evaluating an environment document, one flag for one identity."""

from _contexts import (
    FLAT,
    NO_CONTEXT,
    USER,
    USERS,
    enabled,
    flag_for,
    text_for,
    variant,
)
from flagsmith import Flagsmith
from timing import Timing

NAMES = [
    "everybody",
    "users",
    "text for everybody",
    "text",
    *(f"other-{n}" for n in range(96)),
]


def _state(number, name, *, on, value=None):
    return {
        "django_id": number,
        "featurestate_uuid": f"00000000-0000-4000-8000-{number:012}",
        "feature": {"id": number, "name": name, "type": "STANDARD"},
        "enabled": on,
        "feature_state_value": value,
        "feature_segment": None,
        "multivariate_feature_state_values": [],
    }


def _overrides():
    """Return the states of the flags for the users of the segment."""
    states = [
        _state(number, name, on=True, value="navy")
        for number, name in enumerate(NAMES, 1)
        if not name.endswith("everybody")
    ]
    for state in states:
        state["django_id"] += 1000
        state["feature_segment"] = {"priority": 0}
    return states


def _segment():
    """Return the segment of the users for whom the flags are on."""
    is_user = {
        "operator": "IN",
        "property_": "$.identity.identifier",
        "value": ",".join(USERS),
    }
    some = {"type": "ANY", "conditions": [is_user], "rules": []}
    return {
        "id": 1,
        "name": "users",
        "rules": [{"type": "ALL", "conditions": [], "rules": [some]}],
        "feature_states": _overrides(),
    }


class Document:
    """The offline handler from which Flagsmith gets its environment."""

    def get_environment(self):
        """Return the document, as Flagsmith's API sends it."""
        project = {
            "id": 1,
            "name": "evaluation",
            "hide_disabled_flags": False,
            "segments": [_segment()],
            "organisation": {
                "id": 1,
                "name": "evaluation",
                "feature_analytics": False,
                "stop_serving_flags": False,
                "persist_trait_data": True,
            },
        }
        states = [
            _state(number, name, on=name.endswith("everybody"), value="navy")
            for number, name in enumerate(NAMES, 1)
        ]
        return {
            "id": 1,
            "api_key": "evaluation",
            "name": "evaluation",
            "project": project,
            "feature_states": states,
            "identity_overrides": [],
        }


client = Flagsmith(offline_mode=True, offline_handler=Document())


def flags_of(kind, traits):
    """Return the flags for a context, evaluated again each time."""
    if kind == NO_CONTEXT:
        return client.get_environment_flags()
    return client.get_identity_flags(USER, traits)


def on(name, kind, traits):
    """Return whether a flag is on."""
    return flags_of(kind, traits).is_feature_enabled(name)


def text(name, kind, traits):
    """Return the text of a flag."""
    return flags_of(kind, traits).get_feature_value(name)


assert client.get_identity_flags("stranger").is_feature_enabled("users") is False
timing = Timing()
for kind, traits in FLAT.items():
    asked = (flag_for(kind), kind, traits)
    timing.call(enabled(kind), on, asked, expected=True)
    timing.call(variant(kind), text, (text_for(kind), kind, traits), expected="navy")
timing.show()
