"""Flags from a file, read again when it changes."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from serverless_flags.exceptions import ConfigurationError
from serverless_flags.testing import FlagServer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from conftest import Client


@pytest.fixture(name="path")
def _path(tmp_path: Path) -> Path:
    path = tmp_path / "flags.json"
    path.write_text('{"simpleFlag": true}')
    return path


@pytest.fixture(name="server")
def _server(path: Path) -> Iterator[FlagServer]:
    with FlagServer(flags=path) as server:
        yield server


class Entry:
    """A path like that of ``os.scandir``: neither a `str` nor a `Path`."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __fspath__(self) -> str:
        return str(self.path)


@pytest.mark.parametrize("kind", [str, Entry])
def test_a_path_may_have_any_path_type(path: Path, kind: type) -> None:
    """A `str`, or any object that ``os.fspath`` accepts."""
    with FlagServer(kind(path)) as server:
        assert server.url.endswith("/api")
    with pytest.raises(ConfigurationError, match="the flags file no_such"):
        FlagServer("no_such.json")


@pytest.mark.parametrize("flags", [7, ["simpleFlag"], b"flags.json"])
def test_neither_flags_nor_a_path(flags: object) -> None:
    """The message says what flags and paths look like."""
    with pytest.raises(ConfigurationError) as caught:
        FlagServer(flags)

    assert str(caught.value).startswith(
        f"flags are a mapping or a JSON file's path, not {type(flags).__name__}: write"
    )


def test_change_is_served(path: Path, client: Client) -> None:
    """The next fetch after a change of the file has the change."""
    before = client.fetch().enabled
    path.write_text('{"simpleFlag": false}')
    after = client.fetch().enabled

    assert before == {"simpleFlag": True}
    assert after == {"simpleFlag": False}


def test_change_of_the_same_size_is_served(path: Path, client: Client) -> None:
    """A change that keeps the size is recognised by the modification time."""
    path.write_text('{"simpleFlax": true}')
    os.utime(path, ns=(1, 1))

    assert client.fetch().enabled == {"simpleFlax": True}


@pytest.mark.parametrize("edit", ["{", '{"simpleFlag": "yes, please"}', None])
def test_malformed_edit_keeps_the_last_good_flags(
    path: Path, client: Client, caplog: pytest.LogCaptureFixture, edit: str | None
) -> None:
    """A malformed or deleted file causes a warning, and the old flags stay."""
    path.unlink() if edit is None else path.write_text(edit)

    assert client.fetch().enabled == {"simpleFlag": True}
    assert "The last good flags stay in force" in caplog.text


def test_set_holds_until_the_file_changes(
    path: Path, server: FlagServer, client: Client
) -> None:
    """A flag that was set in memory keeps its value until the file changes."""
    server.set("simpleFlag", enabled=False)
    set_in_memory = client.fetch().enabled
    path.write_text('{"simpleFlag": true, "b": true}')

    assert set_in_memory == {"simpleFlag": False}
    assert client.fetch().enabled == {"simpleFlag": True, "b": True}


@pytest.mark.parametrize(
    "content", ["", "[]", '{"a": 1}', '{"features": [{"name": "a"}]}', None]
)
def test_malformed_file(path: Path, content: str | None) -> None:
    """A server with a malformed file does not start; the error shows the right form."""
    path.unlink() if content is None else path.write_text(content)

    with pytest.raises(ConfigurationError) as caught:
        FlagServer(path)
    assert '{"simpleFlag": true}' in str(caught.value)
    assert str(path) in str(caught.value)
