"""Bring the server's flags into the client: one request at a time, the newest wins."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from serverless_flags._clock import Instant
from serverless_flags._protocols import NO_FLAGS, Fetched
from serverless_flags._work.backoff import OVERRUN
from serverless_flags._work.flag_request import InheritedFlags, Refresh
from serverless_flags._work.freshness import Due, Freshness

if TYPE_CHECKING:
    from collections.abc import Callable

    from serverless_flags._background import BackgroundTask
    from serverless_flags._log import ProblemLog
    from serverless_flags._protocols import StateClient, Upstream

PROBLEM = "refresh"
MOST_AT_ONCE = 3
"""Requests for flags under way at most, without those a freeze may have cut off."""
MOST_IN_ALL = 5
"""Requests for flags under way at most."""
TIMED_OUT_WAITS = 2
"""Invocations that waited in vain, one after the other, after which a server is left
alone: where a freeze cuts each request off, none of them fails in its own time."""


class Refresher:
    """
    The flags of one process.

    Refreshes carry a generation: an answer that was overtaken, as one that was asked
    for before a freeze, is dropped.
    """

    def __init__(
        self,
        upstream: Upstream | None,
        freshness: Freshness,
        *,
        request_timeout: float,
        freezes: bool,
        clock: Callable[[], Instant],
        problem_log: ProblemLog,
        observe: Callable[[str, float], None],
        count: Callable[[str], int | None] | None = None,
    ) -> None:
        self.freshness = freshness
        self.due: Callable[[Instant], str] = (
            _never if upstream is None else freshness.due
        )
        """Decides for an invocation that starts at a moment."""
        self.source = "none"
        """Where the flags are from: ``server``, ``snapshot`` or ``none``."""
        self.last_error: str | None = None
        self._upstream = upstream
        self._request_timeout = request_timeout
        self._longest = request_timeout + OVERRUN
        self._freezes = freezes
        self._clock = clock
        self._problem_log = problem_log
        self._observe = observe
        self._count = count
        self._counted: tuple[str, int | None] | None = None
        self._client: StateClient | None = None
        self._body: str | None = None
        self._etag: str | None = None
        self._gate = threading.RLock()
        self._current: Refresh | None = None
        self.under_way: dict[Refresh, BackgroundTask] = {}
        """Requests that wait for their answer, with the tasks that make them."""
        self._generation = 0
        self._timed_out_waits = 0
        self._closed = False
        self._applying = threading.Lock()
        self._applied = 0

    @property
    def flags(self) -> int | None:
        """How many flags are known; a parse, so counted when somebody asks."""
        body = self._body
        if body is None or self._count is None:
            return None
        if self._counted is None or self._counted[0] is not body:
            self._counted = body, self._count(body)
        return self._counted[1]

    def begin(
        self, moment: Instant, run: Callable[[Refresh], BackgroundTask]
    ) -> tuple[Refresh, BackgroundTask | None]:
        """
        Return the refresh to wait for, and the background task that was begun for it.

        The one under way will do when its answer will be young enough. One that was
        begun before a freeze will not, and does not stand in the way either.

        Args:
            moment: now.
            run: starts a background task that calls `run`; an interruption on this
                thread leaves it running, and nothing else behind.
        """
        with self._gate:
            current = self._current
            if current is not None and not current.ended:
                self.note_awake(moment)
                if self._may_join(current, moment):
                    return current, None
            refresh = Refresh(
                self._generation + 1, moment, self._etag, freezes=self._freezes
            )
            self._generation = refresh.generation
            task = run(refresh)
            self._current = refresh
            self.under_way[refresh] = task
            if refresh.ended:  # its thread was faster
                self.under_way.pop(refresh, None)
            return refresh, task

    def _may_join(self, current: Refresh, moment: Instant) -> bool:
        cut_off = [refresh.cut_off for refresh in list(self.under_way)]
        if cut_off.count(False) >= MOST_AT_ONCE or len(cut_off) >= MOST_IN_ALL:
            return True
        joinable = min(self.freshness.served_for, self._request_timeout)
        return moment.since(current.began) <= joinable

    def note_awake(self, moment: Instant) -> None:
        """Note that the process runs at this moment, while requests are under way."""
        for refresh, task in list(self.under_way.items()):
            if refresh.ended or task.ended:
                self.under_way.pop(refresh, None)
            else:
                refresh.note_awake(moment)

    def note_timed_out_wait(self, refresh: Refresh) -> None:
        """Leave the server alone after some invocations have waited in vain."""
        if refresh.ended:
            return
        self._timed_out_waits += 1
        if self._timed_out_waits >= TIMED_OUT_WAITS:
            self.freshness.backoff.fail(self._clock())

    def run(self, refresh: Refresh) -> None:
        """Ask the server on this thread and, once there is a client, hand it over."""
        assert self._upstream is not None  # noqa: S101  reason: narrows the type
        sent = self._clock()
        refresh.sent = Instant(*map(max, sent, refresh.began))  # two threads' clocks
        try:
            refresh.fetched = self._fetch(self._upstream, refresh.etag)
            if self._client is not None and not self._closed:
                self.apply(refresh)
        finally:
            refresh.end()
            self.under_way.pop(refresh, None)

    def _fetch(self, upstream: Upstream, etag: str | None) -> Fetched:
        try:
            return upstream.fetch(etag, timeout=self._request_timeout)
        except Exception as error:  # noqa: BLE001  reason: nobody is above this thread
            return Fetched(error=f"{type(error).__name__} in the flag client")

    @property
    def inherited_flags(self) -> InheritedFlags | None:
        """The flags as they are known now; read without a lock, after a fork."""
        body = self._body
        if body is None:
            return None
        return InheritedFlags(body, self._etag, self.source, self.freshness.confirmed)

    def inherit(self, inherited_flags: InheritedFlags) -> None:
        """Begin with these flags; the first request asks whether they have changed."""
        self._body, self._etag = inherited_flags.body, inherited_flags.etag
        self.source = inherited_flags.source
        self.freshness.inherit(inherited_flags.confirmed)

    def adopt(self, client: StateClient) -> None:
        """Use ``client`` from now on; a refresh begun before may be waiting for it."""
        if self._body is not None and _hand_over(client, self._body) is not None:
            self._forget()
        self._client = client

    def apply(self, refresh: Refresh) -> None:
        """Hand an answer to the client, once, unless it was overtaken."""
        fetched = refresh.fetched
        if fetched is None:
            return
        with self._applying:
            if refresh.generation <= self._applied or self._answers_older_etag(
                refresh, fetched
            ):
                return
            self._applied = refresh.generation
            error = fetched.error or self._take(fetched)
            seconds = self._clock().since(refresh.sent)
            if error is not None:
                self._fail(refresh, error, seconds, fetched.retry_after)
            else:
                self._confirm(fetched, refresh.sent)
                refresh.confirmed = True
        outcome = "unchanged" if fetched.unchanged else "changed"
        self._observe("failed" if error else outcome, seconds)

    def _answers_older_etag(self, refresh: Refresh, fetched: Fetched) -> bool:
        """Whether the answer is that other flags than ours are unchanged."""
        return fetched.unchanged and refresh.etag != self._etag

    def take_snapshot(self, fetched: Fetched, path: str) -> bool:
        """Serve a snapshot; return whether it could be."""
        error = fetched.error
        if error is None and self._take(fetched) is not None:
            error = (
                f"the snapshot {_shown(path)} is not the body of /api/client/features"
            )
        if error is not None:
            self.last_error = error
            instead = "" if self._upstream is None else "; asking the server instead"
            self._problem_log.warn("snapshot", "%s%s", error, instead)
            return False
        self.source = "snapshot"
        self.freshness.from_snapshot = True
        return True

    def close(self) -> None:
        """Take no answer any more: a late one, or its failure, concerns nobody."""
        self._closed = True

    def forget_expired(self, moment: Instant) -> None:
        """Stop serving flags that ``stale_if_error`` no longer allows."""
        if not self.freshness.expires or not self.freshness.expired(moment):
            return
        with self._applying:
            if not self.freshness.expired(moment):
                return  # they have been confirmed meanwhile
            if self._client is not None:
                self._client.load_state(NO_FLAGS)
            self._forget()
        self._problem_log.warn(
            "expired",
            "the flags are older than stale_if_error allows: defaults from now on",
        )

    def _forget(self) -> None:
        self.source, self._body, self._etag = "none", None, None
        self.freshness.forget()

    def _take(self, fetched: Fetched) -> str | None:
        """Give the client a changed body, exactly once; return what went wrong."""
        if fetched.body is None or self._client is None:
            return None
        error = _hand_over(self._client, fetched.body)
        if error is None:
            self._body = fetched.body
        return error

    def _confirm(self, fetched: Fetched, sent: Instant) -> None:
        self._etag = fetched.etag
        self.source, self.last_error, self._timed_out_waits = "server", None, 0
        self.freshness.confirm(sent)
        self._problem_log.resolved(PROBLEM, "flags are refreshed again")
        self._problem_log.resolved("expired", "flags are served again")

    def _fail(
        self, refresh: Refresh, error: str, seconds: float, retry_after: float | None
    ) -> None:
        self.last_error = error
        if refresh.cut_off or seconds > self._longest:
            return  # a freeze cut it off, which says nothing of the server
        self.freshness.backoff.fail(self._clock(), retry_after)
        served = "defaults are" if self.source == "none" else "the last flags are"
        self._problem_log.warn(
            PROBLEM, "flags could not be refreshed, %s served: %s", served, error
        )


def _never(_moment: Instant) -> str:
    return Due.NOTHING


def _hand_over(client: StateClient, body: str) -> str | None:
    """Let the client evaluate from ``body``; return what went wrong."""
    try:
        client.load_state(body)
    except ValueError as error:
        return f"the flags could not be taken: {_shown(str(error))}"
    except Exception as error:  # noqa: BLE001  reason: nobody is above this thread
        return f"the flags could not be taken: {type(error).__name__}"
    return None


def _shown(text: str) -> str:
    """Return a text of others as it may be logged."""
    from serverless_flags._transport.explain import (
        shown,  # http.client and ssl: not at import
    )

    return shown(text)
