"""Powertools' feature flags with a store that keeps its schema in memory."""

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
from aws_lambda_powertools.utilities.feature_flags import FeatureFlags, StoreProvider
from timing import Timing


def _rule(matched, otherwise, **kind):
    condition = {"action": "KEY_IN_VALUE", "key": "userId", "value": USERS}
    rule = {"when_match": matched, "conditions": [condition]}
    return {"default": otherwise, "rules": {"users": rule}, **kind}


SCHEMA = {
    "everybody": {"default": True},
    "users": _rule(matched=True, otherwise=False),
    "text for everybody": {"default": "navy", "boolean_type": False},
    "text": _rule("navy", "red", boolean_type=False),
    **{f"other-{n}": _rule(matched=True, otherwise=False) for n in range(96)},
}


class Memory(StoreProvider):
    """A store whose configuration never changes."""

    @property
    def get_raw_configuration(self):
        """Return the schema."""
        return SCHEMA

    def get_configuration(self):
        """Return the schema; the same object, as Powertools' own store does."""
        return SCHEMA


flags = FeatureFlags(store=Memory())


def ask(name, context, default):
    """Evaluate with keyword arguments, because Powertools takes no positional ones."""
    return flags.evaluate(name=name, context=context, default=default)


timing = Timing()
for kind, fields in FLAT.items():
    context = {} if kind == NO_CONTEXT else {"userId": USER, **fields}
    timing.call(enabled(kind), ask, (flag_for(kind), context, False), expected=True)
    timing.call(variant(kind), ask, (text_for(kind), context, ""), expected="navy")
timing.show()
