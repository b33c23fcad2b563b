"""A wrapped function on one of the platforms, while nothing is due."""

import os

from _handlers import (
    ANSWER,
    ASKED,
    async_handler,
    handler,
    run_kept,
    time_awaited,
)
from timing import Timing

from serverless_flags import FlagSession

PLATFORM = os.environ["PLATFORM"]
REFRESH_MAY_BE_DUE = 13.0
"""Seconds after which a refresh may be due."""

flags = FlagSession()
timing = Timing()


def _time_aws():
    wrapped, wrapped_async = flags.wrap(handler), flags.wrap(async_handler)
    timing.call("plain", handler, ASKED, expected=ANSWER)
    timing.call("wrapped", wrapped, ASKED, expected=ANSWER)
    timing.call("plain async", run_kept, ASKED, expected=ANSWER)
    timing.call("wrapped async", wrapped_async, ASKED, expected=ANSWER)

    @flags.wrap
    def asking(event, context):  # noqa: ARG001  reason: what AWS passes
        return flags.is_enabled("flag-0", {"userId": "7"})

    timing.call("one flag", asking, ASKED, expected=True)


def _time_awaiting(arguments):
    """Time functions that the runtime awaits and calls with positional arguments."""

    def plain(*_):
        return ANSWER

    async def plain_async(*_):
        return ANSWER

    timing.call("plain", plain, arguments, expected=ANSWER)
    timing.call("wrapped", flags.wrap(plain), arguments, expected=ANSWER)
    time_awaited(timing, "plain async", plain_async, arguments)
    time_awaited(timing, "wrapped async", flags.wrap(plain_async), arguments)


def _time_google():
    from flask import Request
    from werkzeug.test import create_environ

    headers = {"X-Forwarded-For": "192.0.2.7", "Function-Execution-Id": "id"}
    _time_awaiting((Request(create_environ("/hello", headers=headers)),))


def _time_azure():
    import pyperf
    from azure.functions import HttpRequest

    url = "http://localhost/hello"
    keywords = {"req": HttpRequest("GET", url, headers={}, body=b"")}

    def plain(req):  # noqa: ARG001  reason: what Azure passes
        return ANSWER

    async def plain_async(req):  # noqa: ARG001  reason: what Azure passes
        return ANSWER

    for name, function in (("plain", plain), ("wrapped", flags.wrap(plain))):
        assert function(**keywords) == ANSWER

        def timed(loops, function=function):
            began = pyperf.perf_counter()
            for _ in range(loops):
                function(**keywords)
            return pyperf.perf_counter() - began

        timing.loops(name, timed)
    time_awaited(timing, "plain async", plain_async, keywords=keywords)
    wrapped_async = flags.wrap(plain_async)
    time_awaited(timing, "wrapped async", wrapped_async, keywords=keywords)


if PLATFORM == "aws_lambda":
    _time_aws()
elif PLATFORM == "gcp_cloud_functions":
    _time_google()
elif PLATFORM == "azure_functions":
    _time_azure()
else:
    _time_awaiting(ASKED)
status = flags.status
assert status.platform == PLATFORM, status
assert status.source == "server", status
assert status.termination == "connected", status
assert status.age is not None, status
assert status.age < REFRESH_MAY_BE_DUE, status
timing.show()
