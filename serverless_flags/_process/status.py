"""How `FlagSession.status` is put together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from serverless_flags._state import State
from serverless_flags._status import Status

if TYPE_CHECKING:
    from serverless_flags._process.state import ProcessState


def status_of(process: ProcessState, platform: str) -> Status:
    """Return the status of a session in this process."""
    server_sync = process.server_sync
    if server_sync is not None and process.state is State.CLOSED:
        server_sync.flusher.give_up()  # evaluations since the session was closed
    refresher = None if server_sync is None else server_sync.refresher
    counts = None if server_sync is None else server_sync.flusher.counts
    source = "none" if refresher is None else refresher.source
    if source == "none" and process.state is State.READY:
        source = "client"
    errors = [process.start_error]
    if server_sync is not None:
        errors += [server_sync.refresher.last_error, server_sync.flusher.last_error]
    client = process.client
    uncounted = process.uncounted.value + getattr(client, "uncounted", 0)
    return Status(
        state=process.state,
        platform=platform,
        source=source,
        age=None if refresher is None else refresher.freshness.age(process.clock()),
        flags=None if refresher is None else refresher.flags,
        termination=process.termination.termination,
        flush_interval=process.flush_interval,
        uncounted=uncounted + (counts.uncounted if counts else 0),
        unknown_counts=counts.unknown if counts else 0,
        last_error=next((error for error in errors if error), None),
        unknown_flags=tuple(getattr(client, "unknown_flags", ())),
    )
