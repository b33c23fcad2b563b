"""What failed, in words of our own: nothing that a peer sent is repeated as it came."""

from __future__ import annotations

import http.client
import zlib

from serverless_flags._transport.resolver import TransportError

MOST = 200
"""Characters of a text of others that are shown."""

_WORDS: tuple[tuple[type[BaseException], str], ...] = (
    (http.client.RemoteDisconnected, "the connection was closed without an answer"),
    (http.client.BadStatusLine, "the answer is not HTTP"),
    (http.client.UnknownProtocol, "the answer is in an unknown version of HTTP"),
    (http.client.LineTooLong, "a line of the answer's head is too long"),
    (http.client.IncompleteRead, "the answer was cut short"),
    (http.client.InvalidURL, "the path holds what no request can carry"),
    (http.client.HTTPException, "the answer breaks the rules of HTTP"),
    (zlib.error, "the compressed body is damaged"),
    (UnicodeError, "a text holds what it cannot be sent with"),
    (TimeoutError, "the deadline passed"),
)
"""What a type of exception means here: texts of exceptions quote what was received."""


def explain(error: BaseException) -> str:
    """
    Return the type of an exception and what it means, in one printable line.

    The text of an exception is shown only where the operating system or OpenSSL wrote
    it: http.client's, for example, quote a status line, a header that holds the token,
    or a part of a proxy's password.
    """
    if isinstance(error, TransportError):
        cause = error.__cause__
        return str(error) if cause is None else f"{error}: {explain(cause)}"
    name = name_of(error)
    if isinstance(error, OSError) and error.errno is not None:
        return f"{name}: {shown(str(error))}"
    for kind, words in _WORDS:
        if isinstance(error, kind):
            return f"{name}: {words}"
    return name


def name_of(error: BaseException) -> str:
    """Return the name of an exception's type; with its module where that says more."""
    kind = type(error)
    return kind.__name__ if kind.__name__ != "error" else f"{kind.__module__}.error"


def shown(text: str, most: int = MOST) -> str:
    """Return a text of others so that it can be logged: escaped, in one line, cut."""
    cut = text if len(text) <= most else f"{text[:most]}..."
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in cut)
