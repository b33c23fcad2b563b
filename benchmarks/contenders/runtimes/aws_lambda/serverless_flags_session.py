"""A function on AWS Lambda with a session."""

import time

from serverless_flags import FlagSession

flags = FlagSession()


@flags.wrap
def handler(event, context):  # noqa: ARG001  reason: what Lambda passes
    answer = {
        "enabled": flags.is_enabled("flag-0", {"userId": "7"}),
        "at": time.monotonic(),
    }
    status = flags.status
    answer |= {"platform": status.platform, "flags": status.flags}
    return answer
