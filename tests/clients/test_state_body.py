"""What is a state of flags, from a server or from a file, and what is not."""

from __future__ import annotations

import json

import pytest

from serverless_flags._client import Fetched
from serverless_flags.clients import _unleash_api
from serverless_flags.clients._unleash_api import check_state, read_snapshot

FLAG = {"name": "a", "enabled": True, "strategies": []}


class TestState:
    @pytest.mark.parametrize(
        ("state", "flags"),
        [
            ({"version": 2, "features": []}, 0),
            ({"version": 2, "features": [FLAG, FLAG], "segments": []}, 2),
            ({"events": [{"type": "hydration"}]}, None),
        ],
    )
    def test_a_state_is_known_by_its_shape(self, state, flags) -> None:
        """Features or events; the body is handed on as it came."""
        body = json.dumps(state)

        assert Fetched(body=body, flags=flags) == check_state(body.encode())

    def test_a_mark_of_the_byte_order_is_no_part_of_it(self) -> None:
        """Editors on Windows begin a file with one."""
        assert '{"features": []}' == check_state(b'\xef\xbb\xbf{"features": []}').body

    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b"<html>",
            b"\xff\xfe\x00",
            '{"features": []}'.encode("utf-16"),
            b"[" * 100_000,
            b"[]",
            b"null",
            b"{}",
            b'{"features": {}}',
            b'{"features": [3]}',
            b'{"features": [{"name": "a"}]}',
            b'{"features": [{"name": 3, "enabled": true, "strategies": []}]}',
            b'{"features": [{"name": "a", "enabled": 1, "strategies": []}]}',
            b'{"features": [{"name": "a", "enabled": true}]}',
            b'{"features": [{"name": "a", "enabled": true, "strategies": {}}]}',
            b'{"events": {}}',
            b'{"events": [3]}',
        ],
    )
    def test_nothing_else_reaches_an_engine(self, body) -> None:
        """The error asks the question that finds most of its causes."""
        fetched = check_state(body)

        assert (None, None) == (fetched.body, fetched.flags)
        assert fetched.error.endswith("is the url the one of the API?")


class TestSnapshot:
    def test_a_file_is_read(self, tmp_path, state_of) -> None:
        """It is the body of the API, no more and no less."""
        path = tmp_path / "flags.json"
        path.write_text(state_of("a", "b"))

        assert Fetched(body=state_of("a", "b"), flags=2) == read_snapshot(str(path))

    def test_a_file_that_is_not_there(self, tmp_path) -> None:
        """The path is in the message."""
        path = str(tmp_path / "flags.json")
        error = read_snapshot(path).error

        assert error.startswith("the snapshot cannot be read: ")
        assert path in error
        assert "null byte" in read_snapshot("a\0b").error

    @pytest.mark.parametrize("content", [b"", b"{}", b"\x80\x04pickle"])
    def test_a_file_of_something_else(self, tmp_path, content) -> None:
        """Nothing but JSON of the right shape is looked at."""
        path = tmp_path / "flags.json"
        path.write_bytes(content)

        assert (
            f"the snapshot {path} is not the body of /api/client/features"
            == read_snapshot(str(path)).error
        )

    def test_a_file_is_bounded(self, tmp_path, monkeypatch, state_of) -> None:
        """A wrong path to something huge does not fill the memory."""
        path = tmp_path / "flags.json"
        path.write_text(state_of("a"))
        size = path.stat().st_size
        monkeypatch.setattr(_unleash_api, "MOST_SNAPSHOT", size)
        assert 1 == read_snapshot(str(path)).flags
        monkeypatch.setattr(_unleash_api, "MOST_SNAPSHOT", size - 1)

        assert (
            f"the snapshot is larger than {size - 1} bytes"
            == read_snapshot(str(path)).error
        )
