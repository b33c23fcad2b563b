"""Checks of settings: each returns the value as sessions use it, or names the cure."""

from __future__ import annotations

import inspect
import os
from typing import Any

from serverless_flags.exceptions import ConfigurationError

UNLEASH = ("unleash", "lean")
"""Names of flag clients that ask an Unleash server."""

CLIENTS = (*UNLEASH, "memory")
"""Names of flag clients; an object with ``is_enabled`` and ``get_variant`` does too."""

LONGEST_TIMEOUT = 604_800.0
"""Seconds that anything may be waited for: a week. Beyond limits of their own, of which
the lowest is 2**31 milliseconds, locks and sockets raise in the middle of a request."""

LONGEST = 1e9
"""Seconds that any other duration may have: thirty years, which is no limit."""


def check_name(name: str, value: Any) -> str:
    """Return a text of one line that a header can carry."""
    if not isinstance(value, str) or has_control(value) or not value.strip():
        raise _wrong(name, "must be a non-empty text of one line", value, "checkout")
    try:
        value.encode("latin-1")
    except UnicodeEncodeError:
        what = "must be written in Latin-1, for it is sent as a header"
        raise _wrong(name, what, value, "checkout") from None
    return value.strip()


def check_seconds(name: str, value: Any) -> float:
    """Return a duration; it may be 0."""
    return _seconds(name, value, LONGEST)


def check_limit(name: str, value: Any) -> float:
    """Return a duration, or ``inf`` for no limit."""
    if isinstance(value, (str, float)) and str(value).strip().lower() == "inf":
        return float("inf")
    return _seconds(name, value, LONGEST)


def check_timeout(name: str, value: Any) -> float:
    """Return a duration that something waits for: more than 0, at most a week."""
    seconds = _seconds(name, value, LONGEST_TIMEOUT)
    if seconds == 0:
        raise _wrong(name, "must be more than 0 seconds", value, "0.5")
    return seconds


def capped(timeout: float | None) -> float | None:
    """Return a timeout that a caller gives, as short as threads can wait for."""
    return None if timeout is None else min(timeout, LONGEST_TIMEOUT)


def _seconds(name: str, value: Any, longest: float) -> float:
    try:
        seconds = float("nan") if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        seconds = float("nan")
    if not 0 <= seconds < float("inf"):
        raise _wrong(name, "must be a number of seconds, 0 or more", value, "0.5")
    if seconds > longest:
        raise _wrong(name, f"must be at most {longest:.0f} seconds", value, "0.5")
    return seconds


def check_client(name: str, value: Any) -> Any:
    """Return a client's name, or an object that answers as a client does."""
    if isinstance(value, str):
        if value not in CLIENTS:
            cure = " or ".join(repr(client) for client in CLIENTS)
            message = f"{name} {value!r} is not a flag client; use {cure}, or an object"
            raise ConfigurationError(message)
        return value
    if isinstance(value, type):
        made = value.__name__
        message = f"{name} is the class {made}; give an instance of it: {made}(...)"
        raise ConfigurationError(message)
    questions = (getattr(value, which, None) for which in ("is_enabled", "get_variant"))
    if not all(map(callable, questions)):
        message = f"{name} must be a name or have is_enabled() and get_variant()"
        raise ConfigurationError(message)
    return value


def check_path(name: str, value: Any) -> str:
    """Return the path of a file on this machine."""
    try:
        path = os.fspath(value)
    except TypeError:
        path = ""
    if not isinstance(path, str) or not path:
        raise _wrong(name, "must be the path of a JSON file", value, "flags.json")
    if "://" in path:
        raise _wrong(name, "must be a local path", value, "flags.json")
    return path


def check_plugins(name: str, value: Any) -> tuple[Any, ...]:
    """Return plugin objects and dotted names; a text has commas between them."""
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    try:
        return tuple(value)
    except TypeError:
        message = f"{name} must be a sequence of objects or dotted module names"
        raise ConfigurationError(message) from None


def check_callable(name: str, value: Any) -> Any:
    """Return what can be called."""
    if not callable(value):
        message = f"{name} must be a callable"
        raise ConfigurationError(message)
    return value


def check_plain_callable(name: str, value: Any) -> Any:
    """Return what can be called without being awaited."""
    if is_async(check_callable(name, value)):
        message = f"{name} must be a plain function: it is called and never awaited"
        raise ConfigurationError(message)
    return value


def check_switch(name: str, value: Any) -> bool:
    """Return what a word for true or false means."""
    word = str(value).strip().lower() if isinstance(value, (str, int)) else ""
    if word in _ON or word in _OFF:
        return word in _ON
    raise _wrong(name, "must be true or false", value, "true")


def has_control(value: str) -> bool:
    """Return whether a text has a line break or another control character."""
    return any(character < " " or character == "\x7f" for character in value)


def is_async(func: Any) -> bool:
    """Return whether calling ``func`` gives a coroutine, as far as can be seen."""
    called = getattr(func, "__call__", None)  # noqa: B004  reason: not whether, but what kind
    return inspect.iscoroutinefunction(func) or inspect.iscoroutinefunction(called)


def _wrong(name: str, what: str, value: Any, example: str) -> ConfigurationError:
    return ConfigurationError(
        f"{name} {what}: {_shown(value)}; write for example {example}"
    )


def _shown(value: Any) -> str:
    """Show a value of any kind in at most a line: its repr may be long, or raise."""
    try:
        text = repr(value)
    except Exception:  # noqa: BLE001  reason: a repr may raise anything, an int's ValueError
        return f"a value of type {type(value).__name__}"
    return text if len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN]}..."


_MOST_SHOWN = 100
_ON, _OFF = (
    frozenset({"true", "yes", "on", "1"}),
    frozenset({"false", "no", "off", "0"}),
)
