"""LaunchDarkly with its test data source, without events."""

import ldclient
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
from ldclient.config import Config
from ldclient.integrations import test_data
from timing import Timing

ON, OFF = test_data.TRUE_VARIATION_INDEX, test_data.FALSE_VARIATION_INDEX
data = test_data.TestData.data_source()
data.update(data.flag("everybody").variation_for_all(ON))
users = data.flag("users").fallthrough_variation(OFF)
data.update(users.if_match("key", *USERS).then_return(ON))
text = data.flag("text").variations("navy", "red").fallthrough_variation(1)
data.update(data.flag("text for everybody").value_for_all("navy"))
data.update(text.if_match("key", *USERS).then_return(0))
for number in range(96):
    other = data.flag(f"other-{number}").fallthrough_variation(OFF)
    data.update(other.if_match("key", *USERS).then_return(ON))
ldclient.set_config(Config("sdk-key", update_processor_class=data, send_events=False))
client = ldclient.get()


def _context(kind):
    """Return the context; LaunchDarkly requires a key."""
    if kind == NO_CONTEXT:
        return ldclient.Context.builder("anonymous").anonymous(True).build()  # noqa: FBT003  reason: LaunchDarkly's signature
    builder = ldclient.Context.builder(USER)
    for name, value in FLAT[kind].items():
        builder.set(name, value)
    return builder.build()


timing = Timing()
for kind in FLAT:
    context = _context(kind)
    asked = (flag_for(kind), context, False)
    timing.call(enabled(kind), client.variation, asked, expected=True)
    asked = (text_for(kind), context, "")
    timing.call(variant(kind), client.variation, asked, expected="navy")
timing.show()
