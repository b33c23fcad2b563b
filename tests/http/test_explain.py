"""Descriptions of errors never quote what a peer sent."""

from __future__ import annotations

import http.client
import zlib

import pytest

from serverless_flags._transport.explain import MOST, explain, shown
from serverless_flags._transport.resolver import TransportError

SECRET = "default:development.s3cret"


@pytest.mark.parametrize(
    "error",
    [
        http.client.BadStatusLine(SECRET),
        http.client.UnknownProtocol(SECRET),
        http.client.InvalidURL(SECRET),
        http.client.HTTPException(SECRET),
        http.client.IncompleteRead(SECRET.encode()),
        ValueError(f"Invalid header value {SECRET!r}"),
        UnicodeEncodeError("latin-1", SECRET, 0, 1, SECRET),
        OSError(SECRET),
        ConnectionError(SECRET),
        zlib.error(SECRET),
        RuntimeError(SECRET),
    ],
    ids=lambda error: type(error).__name__,
)
def test_the_text_of_an_exception_is_not_shown(error) -> None:
    """The type is named; the text may quote the answer or the request."""
    explained = explain(error)

    assert type(error).__name__ in explained
    assert "s3cret" not in explained


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (TimeoutError(), "TimeoutError: the deadline passed"),
        (ConnectionRefusedError(111, "no"), "ConnectionRefusedError: [Errno 111] no"),
        (TransportError("in our words"), "in our words"),
        (zlib.error(), "zlib.error: the compressed body is damaged"),
        (
            http.client.RemoteDisconnected("x"),
            "RemoteDisconnected: the connection was closed without an answer",
        ),
        (KeyError("x"), "KeyError"),
    ],
)
def test_the_meaning_of_an_error(error, expected) -> None:
    """Only texts of the operating system are shown."""
    assert expected == explain(error)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("größe", "größe"),
        ("one\r\ntwo\tthree\x1b[31m", r"one\r\ntwo\tthree\x1b[31m"),
        ("\u202eevil\x85\u2028", r"\u202eevil\x85\u2028"),
        ("\udcff", r"\udcff"),
        ("x" * MOST, "x" * MOST),
        ("x" * (MOST + 1), "x" * MOST + "..."),
    ],
)
def test_untrusted_text_is_one_line(text, expected) -> None:
    """It cannot add a line to a log or move a cursor."""
    assert expected == shown(text)
