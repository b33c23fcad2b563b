"""A forked process begins with the flags of its parent, at their age."""

from __future__ import annotations

import math
from types import SimpleNamespace

import pytest

from serverless_flags._background import Completion
from serverless_flags._log import ProblemLog
from serverless_flags._protocols import Fetched
from serverless_flags._work.freshness import Due, Freshness
from serverless_flags._work.refresh import Refresher

ONE = Fetched(body="one", etag='"1"')
SAME = Fetched(unchanged=True, etag='"1"')


@pytest.fixture(name="refreshing")
def _refreshing(server, clock):
    """Return a function that makes a refresher with a server's answers."""

    def make(*answers):
        upstream = server(*answers)
        refresher = Refresher(
            upstream,
            Freshness(max_age=15, stale_while_revalidate=45, stale_if_error=math.inf),
            request_timeout=2.0,
            freezes=True,
            clock=clock,
            problem_log=ProblemLog(),
            observe=lambda *_: None,
        )

        def refresh():
            asked, _ = refresher.begin(clock(), lambda _: Completion())
            refresher.run(asked)
            return asked

        return SimpleNamespace(refresher=refresher, upstream=upstream, refresh=refresh)

    return make


@pytest.fixture(name="inherited_flags")
def _inherited_flags(refreshing, client):
    """Return the flags that a refresher passes on after one answer."""
    original = refreshing(ONE)
    original.refresher.adopt(client)
    original.refresh()
    client.bodies.clear()
    return original.refresher.inherited_flags


def test_an_answer_may_come_before_the_client(
    refreshing, client, clock, inherited_flags
):
    """A 304 may arrive before the client exists; the client gets the flags later."""
    copy = refreshing(SAME)
    copy.refresher.inherit(inherited_flags)
    clock.advance(3600)
    asked = copy.refresh()
    copy.refresher.adopt(client)
    copy.refresher.apply(asked)

    assert asked.confirmed
    assert ["one"] == client.bodies
    assert ['"1"'] == [etag for etag, _ in copy.upstream.asked]
    assert Due.NOTHING is copy.refresher.due(clock())
    assert inherited_flags.confirmed != copy.refresher.inherited_flags.confirmed


def test_flags_that_cannot_be_loaded_are_forgotten(
    refreshing, client, clock, inherited_flags
):
    """Then there are no flags, and the next request asks without an ETag."""
    copy = refreshing(SAME, ONE)
    copy.refresher.inherit(inherited_flags)
    asked = copy.refresh()
    client.error = ValueError("no JSON")
    copy.refresher.adopt(client)
    client.error = None
    copy.refresher.apply(asked)
    before = copy.refresher.source, copy.refresher.due(clock())
    copy.refresh()

    assert ("none", Due.BEFORE_HANDLER) == before
    assert ['"1"', None] == [etag for etag, _ in copy.upstream.asked]
    assert ("server", 1) == (copy.refresher.source, copy.refresher.flags)
