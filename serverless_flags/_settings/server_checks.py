"""Checks of the server's url, token and headers, none of which is ever quoted.

Where variables are mixed up, each of them may be the secret.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from serverless_flags._settings.checks import check_plain_callable, has_control
from serverless_flags.exceptions import ConfigurationError


def check_url(name: str, value: Any) -> str:
    """Return the url of an API without a slash at its end."""
    text = value.strip(" ") if isinstance(value, str) else ""
    if _is_plain_url(text):
        return text.rstrip("/")
    from urllib.parse import urlsplit  # 1.5 to 7 ms, where a plain look is not enough

    try:
        parts = urlsplit(text)
        ok = parts.scheme in {"http", "https"} and bool(parts.hostname)
        ok = ok and parts.port != 0 and not (parts.query or parts.fragment)
    except ValueError:
        ok = False
    if not ok or not _VISIBLE.issuperset(text):
        message = f"{name} is not a URL; write for example {_EXAMPLE}"
        raise ConfigurationError(message)
    if parts.username or parts.password:
        message = f"{name} must not carry credentials; put the token in api_token"
        raise ConfigurationError(message)
    return text.rstrip("/")


def _is_plain_url(text: str) -> bool:
    """Whether ``text`` is a URL as most are: nothing in it has to be parsed."""
    scheme, _, rest = text.partition("://")
    authority, _, path = rest.partition("/")
    host, colon, port = authority.partition(":")
    return (
        scheme in {"http", "https"}
        and host != ""
        and _PLAIN.issuperset(host)
        and _PLAIN.issuperset(path.replace("/", ""))
        and (not colon or _is_port(port))
    )


def _is_port(text: str) -> bool:
    return text != "" and _DIGITS.issuperset(text) and 0 < int(text) <= _LAST_PORT


def is_plain_http(url: str) -> bool:
    """
    Return whether others can read a token on its way to a checked ``url``.

    Scheme and host decide, without regard to case. Nobody listens between this machine
    and itself: ``localhost`` and loopback addresses need no TLS. A name is no address,
    whatever it begins with.
    """
    scheme, _, rest = url.partition("://")
    if scheme.lower() != "http":
        return False
    authority = rest.partition("/")[0].lower()
    if authority.startswith("["):
        return not _is_loopback(authority[1:].partition("]")[0])
    host = authority.partition(":")[0].removesuffix(".")
    if host == "localhost":
        return False
    return not (host.startswith("127.") and _is_loopback(host))


def _is_loopback(host: str) -> bool:
    if host in {"127.0.0.1", "::1"}:
        return True
    import ipaddress  # 5 ms, for an unusual loopback address or a name like one

    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return (getattr(address, "ipv4_mapped", None) or address).is_loopback


def check_token_setting(name: str, value: Any) -> str | Callable[[], str]:
    """Return a token, or a function whose result is checked each time."""
    if not callable(value):
        return check_token(name, value)
    provide = check_plain_callable(name, value)
    return lambda: check_token("the result of api_token()", provide())


def check_token(name: str, value: Any) -> str:
    """Return the token, or raise ConfigurationError without quoting it."""
    if not isinstance(value, str):
        message = f"{name} must be a str or a callable that returns one"
        raise ConfigurationError(message)
    if not value.strip():
        message = f"{name} is empty: give a backend token, or leave it out"
        raise ConfigurationError(message)
    if has_control(value) or not value.isascii():
        message = (
            f"{name} holds a line break, a control character or a character outside"
            " ASCII and cannot be sent; often a newline at the end of a secret's file:"
            " strip it"
        )
        raise ConfigurationError(message)
    return value.strip()


def check_headers(name: str, value: Any) -> Mapping[str, str]:
    """Return a copy of headers that can be sent as they are."""
    if not isinstance(value, Mapping):
        message = f"{name} must map header names to texts: {{'X-Name': 'text'}}"
        raise ConfigurationError(message)
    headers: dict[str, str] = {}
    for header, text in value.items():
        if not isinstance(header, str) or not header or not _TOKEN.issuperset(header):
            message = f"{name} has a key that is no header name: write 'X-Name'"
            raise ConfigurationError(message)
        if header.lower() in _FRAMING:
            message = f"{name}[{header!r}] belongs to the connection: leave it out"
            raise ConfigurationError(message)
        if header.lower() in map(str.lower, headers):
            message = f"{name} has {header!r} twice: case makes no difference"
            raise ConfigurationError(message)
        if not isinstance(text, str) or has_control(text) or not text.isascii():
            message = f"{name}[{header!r}] must be an ASCII text of one line"
            raise ConfigurationError(message)
        headers[header] = text.strip(" ")
    return headers


_EXAMPLE = "https://unleash.example.com/api"
_LAST_PORT = 65535
_DIGITS = frozenset("0123456789")
_LETTERS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")
_PLAIN = _LETTERS | _DIGITS | frozenset(".-_~")
"""What stands in most hosts and paths, and needs no care."""
_VISIBLE = frozenset(map(chr, range(33, 127)))
"""What a URL may be written with; all else is to be percent-encoded."""
_TOKEN = _LETTERS | _DIGITS | frozenset("!#$%&'*+-.^_`|~")
"""What the name of a header is made of: RFC 9110, 5.6.2."""
_FRAMING = frozenset(
    {
        "accept-encoding",
        "connection",
        "content-encoding",
        "content-length",
        "expect",
        "if-none-match",
        "keep-alive",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
"""Headers by which a message is read, and those that the session sets by its state."""
