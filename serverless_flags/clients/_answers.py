"""Explain a server's error answer: the most likely cause and what to change."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from serverless_flags._transport.explain import shown

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_SHORTEST_SECRET = 8
"""Characters; a shorter string is no secret and occurs in ordinary text."""

_MUST_END = (
    "/client/features",
    "/client/metrics",
    "/client/register",
    "/client",
    "/admin",
    "/frontend",
    "/proxy",
)
"""Endings of urls that were copied with too much of the path."""

_NO_TOKEN = "no api_token was given: set UNLEASH_API_TOKEN to a backend token"  # noqa: S105  reason: a message, not a token


def complaint(
    status: int,
    headers: Mapping[str, str],
    *,
    url: str,
    authorized: bool,
    secrets: Iterable[str | None],
) -> str:
    """
    Return an error message for an answer that is not a success.

    Args:
        status: the status of the answer.
        headers: the headers of the answer, by lower-case names. They may contain the
            token, so only the target of a redirect is shown.
        url: the url of the API, from the settings.
        authorized: whether a token was sent.
        secrets: strings that must not be shown.
    """
    said = f"the server answered {status}"
    if status in _REDIRECTS:
        return f"{said}, a redirect{_target(headers, secrets)}; {_NOT_FOLLOWED}"
    if status in {401, 403} and not authorized:
        return f"{said} ({_NO_TOKEN})"
    cure = _CURES.get(status)
    if status == 404:  # noqa: PLR2004  reason: the HTTP status Not Found
        cure = _cure_of_url(url)
    return said if cure is None else f"{said} ({cure})"


def _cure_of_url(url: str) -> str:
    for end in _MUST_END:
        if url.endswith(end):
            return f"the url must end in /api: cut {end} off"
    return "does the url end in /api?"


def _target(headers: Mapping[str, str], secrets: Iterable[str | None]) -> str:
    """Return the target of a redirect, unless it contains a secret."""
    location = headers.get("location", "").strip()
    if not location:
        return " without a target"
    if _holds_secret(location, secrets):
        return " to a target that is not shown because it contains a secret"
    try:
        parts = urlsplit(location)
        host = parts.netloc.rpartition("@")[2]
    except ValueError:
        return " to an invalid url"
    target = parts._replace(netloc=host, query="", fragment="").geturl()
    return f" to {shown(target)}"


def _holds_secret(text: str, secrets: Iterable[str | None]) -> bool:
    """Whether a text contains a secret or its last part, in any case or encoding."""
    plain = unquote(text).lower()
    whole = [secret.lower() for secret in secrets if secret]
    last = [secret.replace(":", " ").replace(".", " ").split()[-1:] for secret in whole]
    parts = [*whole, *(part for parts in last for part in parts)]
    return any(len(part) >= _SHORTEST_SECRET and part in plain for part in parts)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """
    Return the seconds after which the server allows a new request (RFC 9110, 10.2.3).

    A date is compared with the server's own clock if the answer has a ``Date``, because
    clocks differ.
    """
    value = headers.get("retry-after", "").strip()
    if value.isascii() and value.isdigit():
        return float(value) if len(value) < 10 else None  # noqa: PLR2004  reason: more digits are longer than a lifetime
    until = _timestamp(value)
    if until is None:
        return None
    now = _timestamp(headers.get("date", ""))
    return max(0.0, until - (time.time() if now is None else now))


def _timestamp(date: str) -> float | None:
    """Return an HTTP date as seconds since the epoch."""
    from email.utils import mktime_tz, parsedate_tz  # http.client imports it too

    try:
        parsed = parsedate_tz(date)
        if parsed is None:
            return None
        return float(mktime_tz((*parsed[:9], parsed[9] or 0)))
    except (ValueError, OverflowError, TypeError, IndexError):
        return None


_REDIRECTS = frozenset({300, 301, 302, 303, 305, 307, 308})
_NOT_FOLLOWED = "redirects are not followed: set the url to where it leads"
_CURES = {
    401: "is api_token a backend token of this server?",
    403: (
        "does the url end in /api? is api_token a backend token, which frontend, admin"
        " and personal tokens are not? may it read this project and environment?"
    ),
    407: "the proxy requires a user and password: add them to its variable",
}
