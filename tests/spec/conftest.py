"""Sessions that start from snapshots of the client specification."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from serverless_flags import FlagSession

sys.path.insert(0, str(Path(__file__).parent))

from specification import MissingError, cases

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from specification import Case

CLIENTS = ("unleash", "lean")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test with a parameter ``case`` once for each case and client."""
    if "case" not in metafunc.fixturenames:
        return
    try:
        found: list[Case | MissingError] = [*cases()]
    except MissingError as error:
        found = [error]
    names = [
        "missing"
        if isinstance(case, MissingError)
        else f"{case.file}: {case.description}"
        for case in found
    ]
    metafunc.parametrize("client", CLIENTS)
    metafunc.parametrize("case", found, ids=names)


@pytest.fixture(name="open_session", scope="module")
def _open_session(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Callable[[str, str], FlagSession]]:
    """Return a function that starts a session from a state, or reuses one."""
    folder = tmp_path_factory.mktemp("snapshots")
    sessions: dict[tuple[str, str], FlagSession] = {}

    def open_session(client: str, state: str) -> FlagSession:
        known = sessions.get((client, state))
        if known is not None:
            return known
        snapshot = folder / f"{len(sessions)}.json"
        snapshot.write_text(state, encoding="utf-8")
        session = FlagSession(client=client, snapshot=snapshot, platform="local")
        session.start()
        sessions[client, state] = session
        return session

    yield open_session
    for session in sessions.values():
        session.close()
