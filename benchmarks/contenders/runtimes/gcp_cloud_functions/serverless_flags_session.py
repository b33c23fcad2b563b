"""A function on Google Cloud Functions with a session."""

import time

import functions_framework

from serverless_flags import FlagSession

flags = FlagSession()


@functions_framework.http
@flags.wrap
def handler(request):  # noqa: ARG001  reason: what Google passes
    answer = {
        "enabled": flags.is_enabled("flag-0", {"userId": "7"}),
        "at": time.monotonic(),
    }
    status = flags.status
    answer |= {"platform": status.platform, "flags": status.flags}
    return answer
