"""Load the server's flags into the client; of several answers the newest wins."""

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
"""The most requests for flags in flight, not counting those that were frozen."""
MOST_IN_ALL = 5
"""The most requests for flags in flight, counting those that were frozen."""
TIMED_OUT_WAITS = 2
"""Consecutive timed-out waits of invocations that start a back-off: where each request
is frozen, none of them ever fails by its own timeout."""


class Refresher:
    """
    The flags of one process.

    Each refresh has a generation. An answer is dropped when a newer one was applied
    before it, as may happen to a request that was sent before a freeze.
    """

    source = "none"
    """Where the flags are from: ``server``, ``snapshot`` or ``none``."""
    last_error: str | None = None
    _client: StateClient | None = None
    _body: str | None = None
    _etag: str | None = None
    _current: Refresh | None = None
    _generation = 0
    _applied = 0
    """The generation of the last answer that was applied."""
    _timed_out_waits = 0
    _closed = False

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
    ) -> None:
        self.freshness = freshness
        self.due: Callable[[Instant], str] = (
            _never if upstream is None else freshness.due
        )
        """Returns one of `Due` for an invocation that starts at the given moment."""
        self._upstream = upstream
        self._request_timeout = request_timeout
        self._longest = request_timeout + OVERRUN
        self._freezes = freezes
        self._clock = clock
        self._problem_log = problem_log
        self._observe = observe
        self.under_way: dict[Refresh, BackgroundTask] = {}
        """Requests in flight, with the background tasks that send them."""
        self._lock = threading.RLock()
        self._applying = threading.Lock()

    @property
    def flags(self) -> int | None:
        """How many flags are known; None before the client has loaded any."""
        if self._body is None or self._client is None:
            return None
        return self._client.flag_count

    def begin(
        self, moment: Instant, run: Callable[[Refresh], BackgroundTask]
    ) -> tuple[Refresh, BackgroundTask | None]:
        """
        Return the refresh to wait for, and the background task if one was started.

        Joins the refresh in flight if its answer will be young enough; otherwise, as
        after a freeze, starts another one.

        Args:
            moment: now.
            run: starts a background task that calls `run`. If an exception interrupts
                this thread, the task goes on and no other state is left behind.
        """
        with self._lock:
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
            if refresh.ended:  # its thread ended first
                self.under_way.pop(refresh, None)
            return refresh, task

    def _may_join(self, current: Refresh, moment: Instant) -> bool:
        cut_off = [refresh.cut_off for refresh in list(self.under_way)]
        if cut_off.count(False) >= MOST_AT_ONCE or len(cut_off) >= MOST_IN_ALL:
            return True
        joinable = min(self.freshness.served_for, self._request_timeout)
        return moment.since(current.began) <= joinable

    def note_awake(self, moment: Instant) -> None:
        """Record that the process runs at this moment, for each request in flight."""
        for refresh, task in list(self.under_way.items()):
            if refresh.ended or task.ended:
                self.under_way.pop(refresh, None)
            else:
                refresh.note_awake(moment)

    def note_timed_out_wait(self, refresh: Refresh) -> None:
        """Record a wait that timed out; back off after `TIMED_OUT_WAITS` in a row."""
        if refresh.ended:
            return
        self._timed_out_waits += 1
        if self._timed_out_waits >= TIMED_OUT_WAITS:
            self.freshness.backoff.fail(self._clock())

    def run(self, refresh: Refresh) -> None:
        """Fetch the flags on this thread and, once there is a client, load them."""
        assert self._upstream is not None  # noqa: S101  reason: narrows the type
        sent = self._clock()
        # two threads' clocks may differ
        refresh.sent = Instant(*map(max, sent, refresh.began))
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
        except Exception as error:  # noqa: BLE001  reason: any failure of a client becomes a failed refresh
            return Fetched(error=f"{type(error).__name__} in the flag client")

    @property
    def inherited_flags(self) -> InheritedFlags | None:
        """The flags that a forked process begins with; takes no lock."""
        body = self._body
        if body is None:
            return None
        return InheritedFlags(body, self._etag, self.source, self.freshness.confirmed)

    def inherit(self, inherited_flags: InheritedFlags) -> None:
        """Begin with these flags; the first request sends their ETag."""
        self._body, self._etag = inherited_flags.body, inherited_flags.etag
        self.source = inherited_flags.source
        self.freshness.inherit(inherited_flags.confirmed)

    def adopt(self, client: StateClient) -> None:
        """Use ``client`` from now on, and load the flags that are known already."""
        if self._body is not None and _load_into(client, self._body) is not None:
            self._forget()
        self._client = client

    def apply(self, refresh: Refresh) -> None:
        """Load an answer into the client, once, unless a newer one has been loaded."""
        fetched = refresh.fetched
        if fetched is None:
            return
        with self._applying:
            if refresh.generation <= self._applied or self._answers_older_etag(
                refresh, fetched
            ):
                return
            self._applied = refresh.generation
            error = fetched.error or self._load(fetched)
            seconds = self._clock().since(refresh.sent)
            if error is not None:
                self._fail(refresh, error, seconds, fetched.retry_after)
            else:
                self._confirm(fetched, refresh.sent)
                refresh.confirmed = True
        outcome = "unchanged" if fetched.unchanged else "changed"
        self._observe("failed" if error else outcome, seconds)

    def _answers_older_etag(self, refresh: Refresh, fetched: Fetched) -> bool:
        """Whether this is a 304 for an ETag that is no longer the current one."""
        return fetched.unchanged and refresh.etag != self._etag

    def take_snapshot(self, fetched: Fetched, path: str) -> bool:
        """Serve the flags of a snapshot; return whether they could be loaded."""
        error = fetched.error
        if error is None and self._load(fetched) is not None:
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
        """Ignore every answer and failure from now on."""
        self._closed = True

    def forget_expired(self, moment: Instant) -> None:
        """Stop serving flags that ``stale_if_error`` no longer allows."""
        if not self.freshness.expires or not self.freshness.expired(moment):
            return
        with self._applying:
            if not self.freshness.expired(moment):
                return  # another thread has just confirmed them
            if self._client is not None:
                self._client.load_state(NO_FLAGS)
            self._forget()
        self._problem_log.warn(
            "expired",
            "the flags are older than stale_if_error allows: serving defaults",
        )

    def _forget(self) -> None:
        self.source, self._body, self._etag = "none", None, None
        self.freshness.forget()

    def _load(self, fetched: Fetched) -> str | None:
        """Load a changed body into the client; return what went wrong, if anything."""
        if fetched.body is None or self._client is None:
            return None
        error = _load_into(self._client, fetched.body)
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
            return  # it was frozen: the failure proves nothing about the server
        self.freshness.backoff.fail(self._clock(), retry_after)
        served = "defaults are" if self.source == "none" else "the last flags are"
        self._problem_log.warn(
            PROBLEM, "flags could not be refreshed, %s served: %s", served, error
        )


def _never(_moment: Instant) -> str:
    return Due.NOTHING


def _load_into(client: StateClient, body: str) -> str | None:
    """Load ``body`` into the client; return what went wrong, if anything."""
    try:
        client.load_state(body)
    except ValueError as error:
        return f"the flags could not be loaded: {_shown(str(error))}"
    except Exception as error:  # noqa: BLE001  reason: any failure of a client becomes a failed refresh
        return f"the flags could not be loaded: {type(error).__name__}"
    return None


def _shown(text: str) -> str:
    """Return untrusted text in a form that is safe to log."""
    # late: it imports http.client and ssl, which a cold start may not need
    from serverless_flags._transport.explain import shown

    return shown(text)
