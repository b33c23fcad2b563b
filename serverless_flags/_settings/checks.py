"""Checks of settings: each returns a usable value or says what to change."""

from __future__ import annotations

import inspect
import os
from typing import Any

from serverless_flags.exceptions import ConfigurationError

UNLEASH = ("unleash", "lean")
"""Names of flag clients that use an Unleash server."""

CLIENTS = (*UNLEASH, "memory")
"""Names of flag clients; an object with a client's methods is valid too."""

MAX_TIMEOUT = 604_800.0
"""The longest timeout in seconds: a week. Locks and sockets raise an error beyond their
own limits, the lowest of which is 2**31 milliseconds."""

MAX_DURATION = 1e9
"""The longest other duration in seconds: thirty years, in effect no limit."""


def check_name(name: str, value: Any) -> str:
    """Return a string that can be sent as a header."""
    if not isinstance(value, str) or has_control(value) or not value.strip():
        raise _wrong(name, "must be a non-empty string on one line", value, "checkout")
    try:
        value.encode("latin-1")
    except UnicodeEncodeError:
        what = "must be Latin-1, because it is sent as a header"
        raise _wrong(name, what, value, "checkout") from None
    return value.strip()


def check_seconds(name: str, value: Any) -> float:
    """Return a duration; it may be 0."""
    return _seconds(name, value, MAX_DURATION)


def check_limit(name: str, value: Any) -> float:
    """Return a duration, or ``inf`` for no limit."""
    if isinstance(value, (str, float)) and str(value).strip().lower() == "inf":
        return float("inf")
    return _seconds(name, value, MAX_DURATION)


def check_timeout(name: str, value: Any) -> float:
    """Return a timeout: more than 0 and at most a week."""
    seconds = _seconds(name, value, MAX_TIMEOUT)
    if seconds == 0:
        raise _wrong(name, "must be more than 0 seconds", value, "0.5")
    return seconds


def capped(timeout: float | None) -> float | None:
    """Return a caller's timeout, limited to what locks and sockets accept."""
    return None if timeout is None else min(timeout, MAX_TIMEOUT)


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
    """Return a client's name, or an object with the methods of a flag client."""
    if isinstance(value, str):
        if value not in CLIENTS:
            cure = " or ".join(repr(client) for client in CLIENTS)
            message = f"{name} {value!r} is not a flag client; use {cure}, or an object"
            raise ConfigurationError(message)
        return value
    if isinstance(value, type):
        made = value.__name__
        message = f"{name} is the class {made}; pass an instance: {made}(...)"
        raise ConfigurationError(message)
    methods = (getattr(value, which, None) for which in ("is_enabled", "get_variant"))
    if not all(map(callable, methods)):
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
    """Return plugin objects and dotted names; a string lists names with commas."""
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    try:
        return tuple(value)
    except TypeError:
        message = f"{name} must be a sequence of objects or dotted module names"
        raise ConfigurationError(message) from None


def check_callable(name: str, value: Any) -> Any:
    """Return a callable."""
    if not callable(value):
        message = f"{name} must be a callable"
        raise ConfigurationError(message)
    return value


def check_plain_callable(name: str, value: Any) -> Any:
    """Return a callable that is not async."""
    if is_async(check_callable(name, value)):
        message = f"{name} must be a plain function: it is called and never awaited"
        raise ConfigurationError(message)
    return value


def check_switch(name: str, value: Any) -> bool:
    """Return the bool that a value such as ``"true"`` or ``"off"`` stands for."""
    text = str(value).strip().lower() if isinstance(value, (str, int)) else ""
    if text in _ON or text in _OFF:
        return text in _ON
    raise _wrong(name, "must be true or false", value, "true")


def has_control(value: str) -> bool:
    """Return whether a string has a line break or another control character."""
    return any(character < " " or character == "\x7f" for character in value)


def is_async(func: Any) -> bool:
    """Return whether calling ``func`` returns a coroutine, as far as is visible."""
    called = getattr(func, "__call__", None)  # noqa: B004  reason: the question is not whether it is callable
    return inspect.iscoroutinefunction(func) or inspect.iscoroutinefunction(called)


def _wrong(name: str, what: str, value: Any, example: str) -> ConfigurationError:
    return ConfigurationError(
        f"{name} {what}: {_shown(value)}; write for example {example}"
    )


def _shown(value: Any) -> str:
    """Return a short repr of any value, whose own repr may be long or raise."""
    try:
        text = repr(value)
    except Exception:  # noqa: BLE001  reason: a repr may raise anything
        return f"a value of type {type(value).__name__}"
    return text if len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN]}..."


_MOST_SHOWN = 100
_ON, _OFF = (
    frozenset({"true", "yes", "on", "1"}),
    frozenset({"false", "no", "off", "0"}),
)
