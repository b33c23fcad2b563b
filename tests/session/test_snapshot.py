"""Flags of a snapshot are served until the server has answered."""

from __future__ import annotations

import json

from serverless_flags import State


def test_a_snapshot_is_served_first_and_refreshed(make, server, tmp_path):
    """A start from a snapshot makes no request; the first invocation makes one."""
    path = tmp_path / "flags.json"
    path.write_bytes(server.state())
    server.flags["simpleFlag"] = False
    flags = make(snapshot=path)

    @flags.wrap
    def handler() -> bool:
        answer = flags.is_enabled("simpleFlag")
        server.answers.set()
        return answer

    flags.start()
    before = flags.status
    server.answers.clear()

    assert (State.READY, "snapshot", 1, None) == (
        before.state,
        before.source,
        before.flags,
        before.age,
    )
    assert 0 == server.asked("GET")
    assert handler() is True
    assert handler() is False
    assert "server" == flags.status.source


def test_a_snapshot_alone_works_offline(make, server, tmp_path, caplog):
    """Without a url the session serves the snapshot and logs nothing."""
    path = tmp_path / "flags.json"
    path.write_bytes(server.state())
    flags = make(snapshot=str(path), url=None)
    handler = flags.wrap(lambda: flags.is_enabled("simpleFlag"))

    assert handler() is True
    assert State.READY is flags.status.state
    assert "" == caplog.text
    assert flags.close()


def test_a_broken_snapshot_is_logged_and_the_server_asked(
    make, server, tmp_path, caplog
):
    """An unusable snapshot is one warning; the server's flags are served."""
    path = tmp_path / "flags.json"
    path.write_text(json.dumps({"flags": []}))
    flags = make(snapshot=path)
    handler = flags.wrap(lambda: flags.is_enabled("simpleFlag"))

    assert handler() is True
    assert "is not the body of /api/client/features" in caplog.text
    assert "server" == flags.status.source
