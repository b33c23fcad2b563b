"""
Checks of the server's url, token and headers; messages never quote their values.

If environment variables are mixed up, any of them may hold the token.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from serverless_flags._settings.checks import check_plain_callable, has_control
from serverless_flags.exceptions import ConfigurationError


def check_url(name: str, value: Any) -> str:
    """Return the url of an API without a trailing slash."""
    text = value.strip(" ") if isinstance(value, str) else ""
    if _is_plain_url(text):
        return text.rstrip("/")
    from urllib.parse import urlsplit  # 1.5 to 7 ms, for unusual urls only

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
    """Whether ``text`` is a common kind of URL that needs no further parsing."""
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
    Return whether a token can be read in transit to a checked ``url``.

    True for the scheme ``http``, unless the host is ``localhost`` or a loopback
    address, which need no TLS. A host name such as ``127.example`` is not an address.
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
    """Return a token, or a function that checks its result at each call."""
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
        message = f"{name} is empty: pass a backend token, or omit it"
        raise ConfigurationError(message)
    if has_control(value) or not value.isascii():
        message = (
            f"{name} contains a line break, a control character or a character outside"
            " ASCII and cannot be sent; often it is the newline at the end of a"
            " secret's file: strip it"
        )
        raise ConfigurationError(message)
    return value.strip()


def check_headers(name: str, value: Any) -> Mapping[str, str]:
    """Return a copy of headers after checking that they can be sent."""
    if not isinstance(value, Mapping):
        message = f"{name} must map header names to strings: {{'X-Name': 'value'}}"
        raise ConfigurationError(message)
    headers: dict[str, str] = {}
    for header, text in value.items():
        if not isinstance(header, str) or not header or not _TOKEN.issuperset(header):
            message = f"{name} has a key that is not a header name: write 'X-Name'"
            raise ConfigurationError(message)
        if header.lower() in _FRAMING:
            message = f"{name}[{header!r}] is set automatically: omit it"
            raise ConfigurationError(message)
        if header.lower() in map(str.lower, headers):
            message = f"{name} has {header!r} twice: names are not case-sensitive"
            raise ConfigurationError(message)
        if not isinstance(text, str) or has_control(text) or not text.isascii():
            message = f"{name}[{header!r}] must be an ASCII string on one line"
            raise ConfigurationError(message)
        headers[header] = text.strip(" ")
    return headers


_EXAMPLE = "https://unleash.example.com/api"
_LAST_PORT = 65535
_DIGITS = frozenset("0123456789")
_LETTERS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")
_PLAIN = _LETTERS | _DIGITS | frozenset(".-_~")
"""Characters of common hosts and paths, which need no further checks."""
_VISIBLE = frozenset(map(chr, range(33, 127)))
"""Characters allowed in a URL; all others must be percent-encoded."""
_TOKEN = _LETTERS | _DIGITS | frozenset("!#$%&'*+-.^_`|~")
"""Characters of a header name: RFC 9110, 5.6.2."""
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
"""Headers that frame a message, and those that the session sets itself."""
