"""A session with a snapshot, used outside and inside an invocation."""

import os

from _contexts import UNLEASH, enabled, flag_for, text_for, variant
from _state import BLUE, ask_unleash, snapshot
from timing import Timing

from serverless_flags import FlagSession

timing = Timing()
flags = FlagSession(snapshot=snapshot(), app_name="evaluation")
flags.start()
assert flags.status.source == "snapshot", flags.status

if os.environ["WHERE"] == "outside":
    ask_unleash(timing, flags)
elif os.environ["WHERE"] == "inside":
    with flags.invocation():
        ask_unleash(timing, flags)
else:
    for kind, context in UNLEASH.items():
        with flags.invocation(context=context):
            asked = (flag_for(kind),)
            timing.call(enabled(kind), flags.is_enabled, asked, expected=True)
            asked = (text_for(kind),)
            timing.call(variant(kind), flags.get_variant, asked, expected=BLUE)
assert flags.status.uncounted == 0, flags.status
timing.show()
