"""A process whose threads are greenlets."""

from __future__ import annotations

import signal

import pytest

from serverless_flags.testing import FlagServer

KILLED = -signal.SIGTERM

GEVENT = """
from gevent import monkey

monkey.patch_all()
"""


@pytest.mark.parametrize("patched", ["before the import", "after it"])
def test_sigterm_sends_the_counts_of_greenlets(run, patched) -> None:
    """The handler runs in the greenlet of the event loop, which cannot wait."""
    pytest.importorskip("gevent", reason="has wheels later than Python")
    early, late = (GEVENT, "") if patched == "before the import" else ("", GEVENT)
    with FlagServer({"simpleFlag": True}) as server:
        process = run(
            f"""
{early}
from serverless_flags import FlagSession

flags = FlagSession(platform="local", client="lean")
{late}
import gevent

work = flags.wrap(lambda: flags.is_enabled("simpleFlag"))
greenlet = gevent.spawn(work)
greenlet.join()
say(greenlet.value, flags.status.termination)
say("ready")
gevent.sleep(60)
""",
            **server.environ,
        )
        assert ["True connected"] == process.ready()
        process.terminate()

        assert (KILLED, []) == process.end()
        assert 1 == server.counts("simpleFlag").yes
