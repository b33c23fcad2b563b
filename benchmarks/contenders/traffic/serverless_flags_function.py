"""A wrapped function whose session, and its connection, live on a simulated clock."""

import os
import threading
from types import SimpleNamespace

from _wire import FLAGS, USER, Wire, hour

from serverless_flags import (
    FlagSession,
    Platform,
    _http,
    _resolve,
    _route,
    _stream,
    hookimpl,
)
from serverless_flags.testing import Instant

HEARD = os.environ["HEARD"] == "1"
seconds = 0.0


class _Here(Platform):
    """A platform that tells of the instance's end, or does not."""

    name = "here"

    @hookimpl
    def detect_platform(self):
        return self

    @hookimpl
    def connect_instance(self):
        return HEARD or "it is not told"


def clock():
    return Instant(1e6 + seconds, 1.8e9 + seconds)


# The connection looks at the time itself: when is a kept one too old to be used?
_http.time = _route.time = _resolve.time = _stream.time = SimpleNamespace(
    monotonic=lambda: clock().monotonic, time=lambda: clock().wall
)
wire = Wire(os.environ["UNLEASH_URL"], lambda: seconds)
flags = FlagSession(
    url=wire.url, client="lean", app_name="traffic", clock=clock, plugins=[_Here()]
)


@flags.wrap
def handler(event):  # noqa: ARG001  reason: what a platform passes
    return [flags.is_enabled(name, USER) for name in FLAGS]


def start():
    assert handler({}) == [True, True, True]
    assert flags.status.source == "server", flags.status
    assert flags.status.flush_interval == (60 if HEARD else 0), flags.status


def call(second):
    global seconds  # noqa: PLW0603  reason: the hands of the clock
    seconds = second
    wire.drop_idle()
    assert handler({}) == [True, True, True]
    for thread in threading.enumerate():
        if thread.name == "serverless-flags":
            thread.join()  # no time passes for it before the next invocation


def end():
    assert flags.close(5.0)
    assert flags.status.uncounted == flags.status.unknown_counts == 0, flags.status


hour(wire, start, call, end)
