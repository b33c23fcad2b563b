"""A function on Google Cloud Functions: one invocation of a cold instance."""

import os
import sys

from serverless_flags import FlagSession

flags = FlagSession()


@flags.wrap
def handler(request):  # noqa: ARG001  reason: what Google passes
    enabled = flags.is_enabled("flag-0", {"userId": "7"})
    print(enabled, flush=True)
    assert enabled
    assert flags.status.source == os.environ["EXPECTED_SOURCE"], flags.status


handler(None)
is_unleash = os.environ["SERVERLESS_FLAGS_CLIENT"] == "unleash"
assert ("UnleashClient" in sys.modules) is is_unleash
assert flags.status.platform == "gcp_cloud_functions", flags.status
os._exit(0)
