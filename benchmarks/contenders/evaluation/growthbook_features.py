"""GrowthBook with its features given; its attributes are set beforehand."""

from _contexts import FLAT, NOBODY, USER, USERS, enabled, flag_for, text_for, variant
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
for who, fields in FLAT.items():
    attributes = {} if who == NOBODY else {"id": USER, **fields}
    client = GrowthBook(attributes=attributes, features=features)
    timing.call(enabled(who), client.is_on, (flag_for(who),), expected=True)
    asked = (text_for(who), "")
    timing.call(variant(who), client.get_feature_value, asked, expected="navy")
timing.show()
