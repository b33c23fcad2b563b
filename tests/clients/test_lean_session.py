"""A session with the lean client and the embedded flag server."""

from __future__ import annotations

import pytest

from serverless_flags import FlagSession, State
from serverless_flags.testing import FlagServer

PATIENCE = 20.0


@pytest.fixture(name="server")
def _server():
    with FlagServer({"simpleFlag": True}) as server:
        yield server


@pytest.fixture(name="new_session")
def _new_session():
    """Make sessions that are closed after the test."""
    made = []

    def new_session(**settings):
        session = FlagSession(
            client="lean",
            platform="local",
            start_timeout=PATIENCE,
            refresh_timeout=PATIENCE,
            request_timeout=PATIENCE,
            **settings,
        )
        made.append(session)
        return session

    yield new_session
    for session in made:
        session.close(PATIENCE)


def test_flags_are_read_flipped_and_counted(server, new_session) -> None:
    """A changed body is parsed once, an unchanged one not again; the counts stay."""
    session = new_session(url=server.url, api_token=server.token, app_name="checkout")
    session.start()
    answers, parsed = [], []
    library = session._core.process.client._library
    parse = library.load_state

    def load_state(engine, body):
        parsed.append(body)
        return parse(engine, body)

    library.load_state = load_state
    for enabled in (True, True, False, True):
        server.set("simpleFlag", enabled)
        assert session.refresh(PATIENCE)
        answers.append(session.is_enabled("simpleFlag"))
    assert session.flush(PATIENCE)
    counts = server.wait_for_counts("simpleFlag", 4, PATIENCE)

    assert [True, True, False, True] == answers
    assert 2 == len(parsed)
    assert (3, 1) == (counts.yes, counts.no)
    assert (State.READY, "server") == (session.status.state, session.status.source)


def test_a_missing_url_gives_a_warning(new_session, caplog) -> None:
    """As with the client `unleash`, which needs a server too."""
    new_session().start()

    assert [message for message in caplog.messages if "set UNLEASH_URL" in message]


def test_plain_http_gives_a_warning(new_session, state_of, tmp_path, caplog) -> None:
    """A plain http url of another host is used, though the token can be read."""
    snapshot = tmp_path / "flags.json"
    snapshot.write_text(state_of("simpleFlag"), encoding="utf-8")
    session = new_session(url="http://unleash.invalid/api", snapshot=snapshot)
    session.start()

    assert [message for message in caplog.messages if "plain http" in message]
