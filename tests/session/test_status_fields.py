"""The status of a session, whatever its client can report."""

from __future__ import annotations

import pytest

from serverless_flags import FlagSession, State
from serverless_flags._protocols import DISABLED, ClosedClient


class Telling:
    """A client that refreshes itself, and reports unknown flags and evaluations."""

    unknown_flags = ("simpelFlag",)
    uncounted = 3

    def is_enabled(self, *_args: object) -> bool:
        return True

    def get_variant(self, *_args: object) -> dict:
        return dict(DISABLED)


class Silent:
    """A client with the two required methods only."""

    def is_enabled(self, *_args: object) -> bool:
        return True

    def get_variant(self, *_args: object) -> dict:
        return dict(DISABLED)


@pytest.fixture(name="session")
def _session(cloud):
    """Return a function that starts a session with the user's own client."""

    def session(client):
        flags = FlagSession(client=client, plugins=[cloud()])
        flags.start()
        return flags

    return session


@pytest.mark.parametrize(
    ("client", "names", "uncounted"),
    [(Telling(), ("simpelFlag",), 3), (Silent(), (), 0)],
    ids=["telling", "silent"],
)
def test_the_status_has_what_the_client_reports(
    session, client, names, uncounted
) -> None:
    """Unknown flags and uncounted evaluations, also after the close."""
    flags = session(client)
    open_status = flags.status
    flags.close()
    flags.is_enabled("simpelFlag")
    flags.get_variant("simpelFlag")
    closed_status = flags.status

    assert (names, uncounted) == (open_status.unknown_flags, open_status.uncounted)
    assert State.CLOSED is closed_status.state
    assert (names, uncounted + 2) == (
        closed_status.unknown_flags,
        closed_status.uncounted,
    )


def test_after_the_close_each_evaluation_is_noted() -> None:
    """The client evaluates it as before, with the same arguments."""
    asked, noted = [], []

    class Asked(Silent):
        def is_enabled(self, *args: object) -> bool:
            asked.append(args)
            return True

        def get_variant(self, *args: object) -> dict:
            asked.append(args)
            return {"name": "red"}

    client = ClosedClient(Asked(), lambda *, counted: noted.append(counted))
    answers = client.is_enabled("a", None, None), client.get_variant("a", {})

    assert (True, {"name": "red"}) == answers
    assert [("a", None, None), ("a", {})] == asked
    assert [False, False] == noted


@pytest.mark.parametrize("state", ["new", "failed", "started", "terminating", "closed"])
def test_reading_the_status_never_raises(make, monkeypatch, raising, state) -> None:
    """Nor does it start anything."""
    if state == "failed":
        monkeypatch.setattr(
            "serverless_flags._process.start.open_backend", raising(OSError)
        )
    flags = make()
    if state != "new":
        flags.start()
    if state == "terminating":
        flags.terminate(1.0)
    if state == "closed":
        flags.close()
    names = {"failed": "degraded", "started": "ready"}

    assert names.get(state, state) == flags.status.state.value
    assert f"<FlagSession {flags.status.state.value} " in repr(flags)
    assert (state == "failed") is (flags.status.last_error is not None)
    assert () == flags.status.unknown_flags
