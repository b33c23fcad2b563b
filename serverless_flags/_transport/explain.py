"""Describe errors for the log; text that a peer sent is never quoted unescaped."""

from __future__ import annotations

import http.client
import zlib

from serverless_flags._transport.resolver import TransportError

MOST = 200
"""Characters of untrusted text that are shown."""

_MEANINGS: tuple[tuple[type[BaseException], str], ...] = (
    (http.client.RemoteDisconnected, "the connection was closed without an answer"),
    (http.client.BadStatusLine, "the answer is not HTTP"),
    (http.client.UnknownProtocol, "the answer is in an unknown version of HTTP"),
    (http.client.LineTooLong, "a line of the answer's head is too long"),
    (http.client.IncompleteRead, "the answer was cut short"),
    (http.client.InvalidURL, "the path has characters that cannot be sent"),
    (http.client.HTTPException, "the answer violates HTTP"),
    (zlib.error, "the compressed body is damaged"),
    (UnicodeError, "a string has characters that cannot be sent"),
    (TimeoutError, "the deadline passed"),
)
"""What a type of exception means here; its own text may quote received bytes."""


def explain(error: BaseException) -> str:
    """
    Return the type of an exception and what it means, in one printable line.

    The text of an exception is shown only if the operating system or OpenSSL wrote it.
    Those of http.client, for example, may quote a status line, a header with the token,
    or part of a proxy's password.
    """
    if isinstance(error, TransportError):
        cause = error.__cause__
        return str(error) if cause is None else f"{error}: {explain(cause)}"
    name = name_of(error)
    if isinstance(error, OSError) and error.errno is not None:
        return f"{name}: {shown(str(error))}"
    for kind, meaning in _MEANINGS:
        if isinstance(error, kind):
            return f"{name}: {meaning}"
    return name


def name_of(error: BaseException) -> str:
    """Return the name of an exception's type, with its module if it is just "error"."""
    kind = type(error)
    return kind.__name__ if kind.__name__ != "error" else f"{kind.__module__}.error"


def shown(text: str, most: int = MOST) -> str:
    """Return untrusted text in a form that is safe to log: escaped and shortened."""
    cut = text if len(text) <= most else f"{text[:most]}..."
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in cut)
