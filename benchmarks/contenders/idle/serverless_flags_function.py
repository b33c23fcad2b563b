"""A wrapped function after its first invocation, or with a snapshot before it."""

import os
import sys

from _idle import show

from serverless_flags import FlagSession

flags = FlagSession()


@flags.wrap
def handler(event, context):  # noqa: ARG001  reason: what AWS passes
    return flags.is_enabled("flag-0", {"userId": "7"})


source = os.environ["EXPECTED_SOURCE"]
if source == "snapshot":
    flags.start()  # as on AWS at `wrap`; without an invocation no server is asked
    enabled = flags.is_enabled("flag-0", {"userId": "7"})
else:
    enabled = handler({}, None)
    assert flags.status.termination == "connected", flags.status
is_unleash = os.environ["SERVERLESS_FLAGS_CLIENT"] == "unleash"
assert ("UnleashClient" in sys.modules) is is_unleash
assert flags.status.source == source, flags.status
assert flags.status.platform == os.environ["EXPECTED_PLATFORM"], flags.status
show(enabled)
