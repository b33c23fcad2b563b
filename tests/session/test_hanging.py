"""A server that accepts connections and never answers costs a bounded time."""

from __future__ import annotations

import asyncio
import json
import threading
import time

import pytest

from serverless_flags import State
from serverless_flags._clock import Instant
from serverless_flags._protocols import Fetched, Outcome, Sent
from serverless_flags._work.refresh import MOST_IN_ALL, TIMED_OUT_WAITS
from serverless_flags.clients._unleash_api import UnleashApi

WAIT = 20.0
"""Seconds; a bound against hanging only."""

OLD = 61.0
"""Seconds after which an invocation waits for a refresh."""


@pytest.fixture(name="invoke", params=["sync", "async"])
def _invoke(request):
    """Return a function that evaluates the flag in a sync or an async invocation."""

    def invoke(flags):
        if request.param == "sync":
            with flags.invocation():
                return flags.is_enabled("simpleFlag")

        async def main():
            async with flags.invocation():
                return flags.is_enabled("simpleFlag")

        return asyncio.run(main())

    return invoke


@pytest.fixture(name="hangs")
def _hangs(make, server, until):
    """Return a started session whose server does not answer during the test."""
    made = []

    def hangs(platform=None, **settings):
        flags = make(platform, **settings)
        made.append(flags)
        flags.start()
        server.answers.clear()
        return flags

    yield hangs
    server.answers.set()
    for flags in made:
        assert until(lambda: not flags._core.process.server_sync.refresher.under_way)  # noqa: B023  reason: called at once


class TestRefreshes:
    def test_only_the_first_invocations_wait(
        self, hangs, server, clock, invoke, until
    ) -> None:
        """After that the back-off applies, although no request has failed yet."""
        flags = hangs(refresh_timeout=0.02)
        clock.advance(OLD)
        answers = [invoke(flags) for _ in range(20)]

        assert [True] * 20 == answers
        assert (
            flags._core.process.server_sync.refresher._timed_out_waits
            == TIMED_OUT_WAITS
        )
        assert server.asked("GET") <= 1 + TIMED_OUT_WAITS

    def test_each_refresh_cut_off_by_a_freeze_is_one_more(
        self, hangs, server, clock, invoke
    ) -> None:
        """The back-off ends the series, so threads and connections are bounded."""
        flags = hangs(refresh_timeout=0.001)
        for _ in range(50):
            clock.advance(600)
            assert invoke(flags) is True

        assert len(flags._core.process.server_sync.refresher.under_way) <= MOST_IN_ALL

    def test_it_recovers_when_the_server_answers_again(
        self, hangs, server, clock, invoke, until
    ) -> None:
        """The late answers bring the flags, and the problem is resolved."""
        flags = hangs(refresh_timeout=0.02)
        clock.advance(OLD)
        for _ in range(3):
            invoke(flags)
        server.flags["simpleFlag"] = False
        server.answers.set()

        assert until(lambda: invoke(flags) is False)
        assert until(lambda: not flags._core.process.server_sync.refresher.under_way)


class TestFlushes:
    def test_ending_invocations_share_two_requests(
        self, hangs, server, cloud, until
    ) -> None:
        """Each invocation flushes then; together they make two requests."""
        flags = hangs(cloud(runs_between_invocations=True), flush_timeout=0.5)
        most = [0]

        async def one(go: asyncio.Event) -> None:
            async with flags.invocation():
                await go.wait()
                flags.is_enabled("simpleFlag")
            running = [t for t in threading.enumerate() if t.name == "serverless-flags"]
            most[0] = max(most[0], len(running))

        async def main() -> None:
            go = asyncio.Event()
            tasks = [asyncio.create_task(one(go)) for _ in range(150)]
            await asyncio.sleep(0)
            await asyncio.to_thread(flags.terminate, 0.01)
            go.set()
            await asyncio.gather(*tasks)

        asyncio.run(main())
        asked = server.asked("POST")
        server.answers.set()

        assert State.TERMINATING is flags.status.state
        assert asked <= 2
        assert most[0] <= 2
        assert flags.flush(WAIT)
        assert until(lambda: server.counted() == 150)

    def test_each_body_is_accepted_by_a_server(self, make, server, until) -> None:
        """The counts of three thousand flags are split into bodies below its limit."""
        names = [f"checkout.flag-number-{number:04}" for number in range(3000)]
        server.flags = dict.fromkeys(names, True)
        flags = make(client="lean")
        flags.start()
        for name in names:
            flags.is_enabled(name)

        assert flags.flush(WAIT)
        assert [1] * 3000 == [server.counted(name) for name in names]
        assert 3 == server.asked("POST")
        assert all(len(json.dumps(bucket)) < 95_000 for bucket in server.buckets)
        assert 0 == flags.status.uncounted + flags.status.unknown_counts


class TestClocks:
    """With a frozen test clock, the session's threads use another one."""

    @pytest.mark.parametrize("ahead", [-600_000_000.0, 600_000_000.0])
    def test_the_first_invocation_gets_the_flags(self, make, ahead) -> None:
        """How long something has waited is measured by one thread's clock."""
        main = threading.get_ident()

        def clock() -> Instant:
            offset = ahead if threading.get_ident() == main else 0.0
            return Instant(time.monotonic() + offset, time.time() + offset)

        flags = make(clock=clock)

        assert flags.wrap(lambda: flags.is_enabled("simpleFlag"))() is True

    def test_a_session_with_frozen_clocks(self, make, server) -> None:
        """While the clocks stand still, no work is due."""
        flags = make(clock=lambda: Instant(5.0, 5.0))
        answers = [
            flags.wrap(lambda: flags.is_enabled("simpleFlag"))() for _ in range(3)
        ]

        assert [True] * 3 == answers
        assert (1, 0) == (server.asked("GET"), flags.status.age)


class TestExit:
    """The last flush, when the interpreter exits and no thread can be started."""

    @pytest.fixture(name="sent")
    def _sent(self, monkeypatch):
        sent = []

        def send(api, bucket, *, timeout, exiting=False):
            sent.append((threading.get_ident(), exiting))
            return Sent(Outcome.TAKEN, 202)

        monkeypatch.setattr(UnleashApi, "send", send)
        body = '{"version": 2, "features": [{"name": "a", "enabled": true}]}'
        monkeypatch.setattr(
            UnleashApi, "fetch", lambda *_args, **_more: Fetched(body=body)
        )
        return sent

    @pytest.mark.parametrize("how", ["close", "terminate"])
    def test_it_runs_on_the_main_thread_with_exiting_set(
        self, make, monkeypatch, sent, how
    ) -> None:
        """Nothing without a deadline may run there."""
        flags = make()
        flags.is_enabled("a")

        def refuse(*_args: object) -> None:
            raise RuntimeError("can't create new thread at interpreter shutdown")

        with monkeypatch.context() as patched:
            patched.setattr("_thread.start_new_thread", refuse)
            getattr(flags, how)(WAIT)

        assert [(threading.get_ident(), True)] == sent

    @pytest.mark.parametrize("how", ["close", "terminate"])
    def test_else_it_runs_on_a_background_thread(self, make, sent, how) -> None:
        """The calling thread may be interrupted at any line."""
        flags = make()
        flags.is_enabled("a")
        getattr(flags, how)(WAIT)
        ((thread, exiting),) = sent

        assert threading.get_ident() != thread
        assert exiting is False
