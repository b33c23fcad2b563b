"""ConfigCat with local flags only, which have rules."""

import json
import tempfile
from pathlib import Path

import configcatclient
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
from configcatclient.configcatoptions import ConfigCatOptions
from configcatclient.localfiledatasource import LocalFileFlagOverrides
from configcatclient.overridedatasource import OverrideBehaviour
from configcatclient.user import User
from timing import Timing

ON, OFF = {"b": True}, {"b": False}


def _rule(matched, otherwise, kind):
    """Return a flag for the users, in the format of ConfigCat's config file."""
    is_one_of = {"u": {"a": "Identifier", "c": 0, "l": USERS}}
    rule = {"c": [is_one_of], "s": {"v": matched}}
    return {"t": kind, "v": otherwise, "r": [rule]}


flags = {
    "everybody": {"t": 0, "v": ON},
    "users": _rule(ON, OFF, 0),
    "text for everybody": {"t": 1, "v": {"s": "navy"}},
    "text": _rule({"s": "navy"}, {"s": "red"}, 1),
    **{f"other-{number}": _rule(ON, OFF, 0) for number in range(96)},
}
path = Path(tempfile.mkdtemp()) / "config.json"
path.write_text(json.dumps({"f": flags}))
overrides = LocalFileFlagOverrides(str(path), OverrideBehaviour.LocalOnly)
client = configcatclient.get("localhost", ConfigCatOptions(flag_overrides=overrides))

timing = Timing()
for kind, fields in FLAT.items():
    user = None if kind == NO_CONTEXT else User(USER, custom=fields)
    asked = (flag_for(kind), False, user)
    timing.call(enabled(kind), client.get_value, asked, expected=True)
    asked = (text_for(kind), "", user)
    timing.call(variant(kind), client.get_value, asked, expected="navy")
timing.show()
