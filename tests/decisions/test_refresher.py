"""How a refresher handles an answer; each body is loaded once."""

from __future__ import annotations

import logging

import pytest

from serverless_flags._protocols import Fetched
from serverless_flags._work.freshness import Due

ONE = Fetched(body="one", etag='"1"')
TWO = Fetched(body="two", etag='"2"')
SAME = Fetched(unchanged=True, etag='"1"')
DOWN = Fetched(error="the server answered 503", retry_after=60.0)


class TestAnswers:
    def test_a_new_state_is_loaded(self, refreshing, clock) -> None:
        """It is loaded once, and the next request sends its ETag."""
        it = refreshing(ONE, SAME)
        assert ("none", None, None) == it.sees()
        first = it.refresh()
        assert ("server", 1, None) == it.sees()
        second = it.refresh()

        assert first.confirmed
        assert second.confirmed
        assert ["one"] == it.client.bodies
        assert [(None, 2.0), ('"1"', 2.0)] == it.upstream.asked
        assert ["changed", "unchanged"] == [outcome for outcome, _ in it.observed]
        assert ("server", 1, None) == it.sees()

    def test_an_unchanged_state_is_not_loaded_again(self, refreshing) -> None:
        """Parsing is the cost of a refresh, and is paid once per change."""
        it = refreshing(ONE, *[SAME] * 5, TWO)
        for _ in range(7):
            it.refresh()

        assert ["one", "two"] == it.client.bodies

    def test_the_age_counts_from_the_request(self, refreshing, clock) -> None:
        """Flags are as old as the request, which is sent after the refresh began."""
        it = refreshing(lambda: (clock.advance(3), ONE)[1])
        refresh, _ = it.claim(clock())
        clock.advance(5)
        it.refresher.run(refresh)

        assert 3 == it.refresher.freshness.age(clock())
        assert [("changed", 3)] == it.observed

    def test_a_failure_keeps_the_flags(self, refreshing, clock, caplog) -> None:
        """They are served, a back-off starts, and the problem is logged once."""
        caplog.set_level(logging.INFO)
        it = refreshing(ONE, DOWN, DOWN, SAME)
        it.refresh()
        clock.advance(100)
        failed = it.refresh()
        assert not failed.confirmed
        assert ("server", 1, "the server answered 503") == it.sees()
        assert 100 == it.refresher.freshness.age(clock())
        assert Due.NOTHING is it.refresher.due(clock.advance(59))
        assert Due.BEFORE_HANDLER is it.refresher.due(clock.advance(1))
        it.refresh()
        it.refresh()

        assert [
            (
                "flags could not be refreshed, the last flags are served:"
                " the server answered 503"
            ),
            "flags are refreshed again",
        ] == caplog.messages
        assert ("server", 1, None) == it.sees()
        assert ["changed", "failed", "failed", "unchanged"] == [
            outcome for outcome, _ in it.observed
        ]

    def test_a_failure_without_flags_serves_defaults(self, refreshing, caplog) -> None:
        """The log says that defaults are served."""
        it = refreshing(DOWN)
        it.refresh()

        assert "defaults are served" in caplog.text
        assert ("none", None, "the server answered 503") == it.sees()

    def test_an_error_in_the_client_is_a_failure(self, refreshing) -> None:
        """The log names its class, not its text, which may contain anything."""
        it = refreshing(KeyError("token"))
        it.refresh()

        assert ("none", None, "KeyError in the flag client") == it.sees()

    def test_an_interruption_ends_the_wait(self, refreshing) -> None:
        """An exception that ends the process propagates, and no caller waits on."""
        it = refreshing(KeyboardInterrupt())
        refresh, _ = it.claim(it.clock())
        with pytest.raises(KeyboardInterrupt):
            it.refresher.run(refresh)

        assert refresh.ended
        assert not refresh.confirmed

    @pytest.mark.parametrize(
        ("error", "why"),
        [(ValueError("no JSON"), "no JSON"), (KeyError("x"), "KeyError")],
    )
    def test_a_state_that_cannot_be_loaded_is_a_failure(
        self, refreshing, error, why
    ) -> None:
        """Its ETag is not kept, so the next request asks for the whole state."""
        it = refreshing(ONE, ONE)
        it.client.error = error
        it.refresh()
        assert ("none", None, f"the flags could not be loaded: {why}") == it.sees()
        it.client.error = None
        it.refresh()

        assert [None, None] == [etag for etag, _ in it.upstream.asked]
        assert ("server", 1, None) == it.sees()

    def test_without_a_server_nothing_is_due(self, refreshing, clock) -> None:
        """A client without a server is not refreshed."""
        it = refreshing(upstream=False)

        assert Due.NOTHING is it.refresher.due(clock())


class TestSnapshot:
    def test_a_snapshot_is_served(self, refreshing, clock) -> None:
        """It is served until the server has answered a background refresh."""
        it = refreshing(TWO)
        assert it.refresher.take_snapshot(ONE, "flags.json")
        assert ("snapshot", 1, None) == it.sees()
        assert Due.BACKGROUND is it.refresher.due(clock())
        it.refresh()

        assert ["one", "two"] == it.client.bodies
        assert ("server", 2, None) == it.sees()
        assert it.upstream.asked[0][0] is None

    @pytest.mark.parametrize("broken", ["file", "client"])
    def test_a_snapshot_that_cannot_be_served(
        self, refreshing, clock, caplog, broken
    ) -> None:
        """A warning says so, and the server is asked instead."""
        it = refreshing()
        if broken == "client":
            it.client.error = ValueError("no JSON")
        fetched = Fetched(error="no such file") if broken == "file" else ONE
        assert not it.refresher.take_snapshot(fetched, "flags.json")

        assert ("none", None) == it.sees()[:2]
        assert it.sees()[2]
        assert "; asking the server instead" in caplog.text
        assert Due.BEFORE_HANDLER is it.refresher.due(clock())
