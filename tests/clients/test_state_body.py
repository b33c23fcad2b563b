"""Which bodies and files are flag states."""

from __future__ import annotations

import gzip
import json
import os
from types import SimpleNamespace

import pytest

from serverless_flags._protocols import Fetched
from serverless_flags._settings import load_settings
from serverless_flags.clients import _state_body, open_backend
from serverless_flags.clients._unleash_api import (
    read_snapshot,
    read_state,
)

FLAG = {"name": "a", "enabled": True, "strategies": []}


MALFORMED = [
    "",
    "<html>",
    "[" * 100_000,
    "[]",
    "null",
    "{",
    "{}",
    '{"features": {}}',
    '{"features": [3]}',
    '{"features": [{"name": "a"}]}',
    '{"features": [{"name": 3, "enabled": true, "strategies": []}]}',
    '{"features": [{"name": "a", "enabled": 1, "strategies": []}]}',
    '{"features": [{"name": "a", "enabled": true, "strategies": {}}]}',
    '{"events": {}}',
    '{"events": [3]}',
]


class TestState:
    def test_a_body_is_returned_unchanged(self) -> None:
        """The engine is the one that parses it."""
        body = json.dumps({"version": 2, "features": [FLAG]})

        assert Fetched(body=body) == read_state(body.encode())

    def test_a_byte_order_mark_is_removed(self) -> None:
        """Editors on Windows begin a file with one."""
        assert '{"features": []}' == read_state(b'\xef\xbb\xbf{"features": []}').body

    @pytest.mark.parametrize(
        "body",
        [b"", b"<html>", b"[]", b"\xff\xfe\x00", '{"features": []}'.encode("utf-16")],
    )
    def test_a_body_that_is_not_json_is_an_error(self, body) -> None:
        """The message asks about the most likely cause."""
        fetched = read_state(body)

        assert fetched.body is None
        assert fetched.error.endswith("does the url point to the API?")

    @pytest.mark.parametrize("client", ["unleash", "lean"])
    @pytest.mark.parametrize("body", MALFORMED)
    def test_a_body_that_is_not_a_state_changes_nothing(
        self, client, body, state_of
    ) -> None:
        """The engine says why; the previous flags are served."""
        chosen = load_settings({"client": client}, {})
        asked = open_backend(chosen, "checkout").load()
        asked.load_state(state_of("before"))

        with pytest.raises(ValueError, match="does the url point to the API"):
            asked.load_state(body)
        assert asked.is_enabled("before")


class TestSnapshot:
    def test_a_file_is_read(self, tmp_path, state_of) -> None:
        """Its content is the body of the API."""
        path = tmp_path / "flags.json"
        path.write_text(state_of("a", "b"))

        assert Fetched(body=state_of("a", "b")) == read_snapshot(str(path))

    def test_a_missing_file_is_an_error(self, tmp_path) -> None:
        """The message has the path."""
        path = str(tmp_path / "flags.json")
        error = read_snapshot(path).error

        assert f"the snapshot {path} cannot be read: No such file or directory" == error
        assert r"the snapshot a\x00b " in read_snapshot("a\0b").error

    @pytest.mark.parametrize(
        "encode",
        [
            lambda text: text.encode("utf-16"),
            lambda text: b"\xfe\xff" + text.encode("utf-16-be"),
            lambda text: text.encode("utf-8-sig"),
            lambda text: gzip.compress(text.encode()),
            lambda text: (
                gzip.compress(text[:9].encode()) + gzip.compress(text[9:].encode())
            ),
        ],
        ids=["utf-16", "utf-16-be", "mark", "gzip", "two-members"],
    )
    def test_the_output_of_tools_is_read(self, tmp_path, state_of, encode) -> None:
        """PowerShell writes UTF-16, and ``curl`` the compressed body."""
        path = tmp_path / "flags.json"
        path.write_bytes(encode(state_of("a")))

        assert Fetched(body=state_of("a")) == read_snapshot(str(path))

    @pytest.mark.parametrize(
        ("content", "why"),
        [
            (b'{"toggles": [{"name": "a"}]}', "it is from the frontend API"),
            (b'{"message": "no"}', "it has no features"),
            (b"<html>", "it is not JSON in UTF-8"),
            (b"\xff\xfe{", "it is not JSON in UTF-8"),
            (gzip.compress(b"x" * 100)[:-9], "is compressed with gzip, and damaged"),
            (b"\x1f\x8bx", "is compressed with gzip, and damaged"),
            (gzip.compress(b"[]"), "it is not JSON in UTF-8"),
        ],
    )
    def test_the_error_names_the_file(self, tmp_path, content, why) -> None:
        """It says what is wrong with the content, too."""
        path = tmp_path / "flags.json"
        path.write_bytes(content)
        fetched = read_snapshot(str(path))

        assert fetched.body is None
        assert f"the snapshot {path} is " in fetched.error
        assert why in fetched.error

    @pytest.mark.parametrize("kind", ["pipe", "device", "folder"])
    def test_a_file_that_is_not_regular_is_not_opened(self, tmp_path, kind) -> None:
        """Reading a pipe or a device may never end."""
        path = tmp_path / "flags.json"
        if kind == "pipe":
            os.mkfifo(path)
        path = {"device": "/dev/zero", "folder": str(tmp_path)}.get(kind, str(path))

        assert f"the snapshot {path} is not a regular file" == read_snapshot(path).error

    def test_a_pipe_that_replaces_the_file_is_not_waited_for(
        self, tmp_path, monkeypatch
    ) -> None:
        """Between the check and the opening."""
        path, file = tmp_path / "pipe", tmp_path / "file"
        os.mkfifo(path)
        file.touch()
        looks = SimpleNamespace(**{**vars(os), "stat": lambda _path: file.lstat()})
        monkeypatch.setattr(_state_body, "os", looks)

        assert "is not a regular file" in read_snapshot(str(path)).error

    def test_a_path_cannot_add_lines_to_the_log(self) -> None:
        """It is escaped."""
        assert r"the snapshot a\nb cannot be read" in read_snapshot("a\nb").error

    @pytest.mark.parametrize("content", [b"", b"[]", b"\x80\x04pickle"])
    def test_another_kind_of_file_is_an_error(self, tmp_path, content) -> None:
        """Only JSON with the fields of a flag state is accepted."""
        path = tmp_path / "flags.json"
        path.write_bytes(content)

        assert (
            f"the snapshot {path} is not the body of /api/client/features:"
            " it is not JSON in UTF-8" == read_snapshot(str(path)).error
        )

    def test_a_file_is_bounded(self, tmp_path, monkeypatch, state_of) -> None:
        """A wrong path to a huge file does not fill the memory."""
        path = tmp_path / "flags.json"
        path.write_text(state_of("a"))
        size = path.stat().st_size
        monkeypatch.setattr(_state_body, "MOST_SNAPSHOT", size)
        assert state_of("a") == read_snapshot(str(path)).body
        monkeypatch.setattr(_state_body, "MOST_SNAPSHOT", size - 1)

        assert (
            f"the snapshot {path} is larger than {size - 1} bytes"
            == read_snapshot(str(path)).error
        )
