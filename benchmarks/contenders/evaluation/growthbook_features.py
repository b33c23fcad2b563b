"""GrowthBook with its features given; its attributes are set beforehand."""

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
from growthbook import GrowthBook
from timing import Timing


def _rule(matched, otherwise):
    rule = {"condition": {"id": {"$in": USERS}}, "force": matched}
    return {"defaultValue": otherwise, "rules": [rule]}


features = {
    "everybody": {"defaultValue": True},
    "users": _rule(matched=True, otherwise=False),
    "text for everybody": {"defaultValue": "navy"},
    "text": _rule("navy", "red"),
    **{f"other-{n}": _rule(matched=True, otherwise=False) for n in range(96)},
}
timing = Timing()
for kind, fields in FLAT.items():
    attributes = {} if kind == NO_CONTEXT else {"id": USER, **fields}
    client = GrowthBook(attributes=attributes, features=features)
    timing.call(enabled(kind), client.is_on, (flag_for(kind),), expected=True)
    asked = (text_for(kind), "")
    timing.call(variant(kind), client.get_feature_value, asked, expected="navy")
timing.show()
