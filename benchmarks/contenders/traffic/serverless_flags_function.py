"""A wrapped function; its session and its connection use a simulated clock."""

import os
import threading
from types import SimpleNamespace

from _wire import FLAGS, USER, CountingProxy, hour

from serverless_flags import FlagSession, Platform, hookimpl
from serverless_flags._transport import connector, http, resolver, stream
from serverless_flags.testing import Instant

CONNECTED = os.environ["CONNECTED"] == "1"
seconds = 0.0


class _Here(Platform):
    """A platform that announces the end of an instance, or does not."""

    name = "here"

    @hookimpl
    def detect_platform(self):
        return self

    @hookimpl
    def connect_instance(self):
        return CONNECTED or "this platform sends no termination signal"


def clock():
    return Instant(1e6 + seconds, 1.8e9 + seconds)


# The connection reads the time itself, to see whether a kept one is too old.
http.time = connector.time = resolver.time = stream.time = SimpleNamespace(
    monotonic=lambda: clock().monotonic, time=lambda: clock().wall
)
wire = CountingProxy(os.environ["UNLEASH_URL"], lambda: seconds)
flags = FlagSession(
    url=wire.url, client="lean", app_name="traffic", clock=clock, plugins=[_Here()]
)


@flags.wrap
def handler(event):  # noqa: ARG001  reason: what a platform passes
    return [flags.is_enabled(name, USER) for name in FLAGS]


def start():
    assert handler({}) == [True, True, True]
    assert flags.status.source == "server", flags.status
    assert flags.status.flush_interval == (60 if CONNECTED else 0), flags.status


def call(second):
    global seconds  # noqa: PLW0603  reason: the simulated clock
    seconds = second
    wire.drop_idle()
    assert handler({}) == [True, True, True]
    for thread in threading.enumerate():
        if thread.name == "serverless-flags":
            thread.join()  # the simulated clock stands still until it has ended


def end():
    assert flags.close(5.0)
    assert flags.status.uncounted == flags.status.unknown_counts == 0, flags.status


hour(wire, start, call, end)
