"""Settings: keyword arguments first, then the environment, then the default."""

import os
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from serverless_flags.exceptions import ConfigurationError

if TYPE_CHECKING:
    from serverless_flags._freshness import Instant
    from serverless_flags.platform import Invocation

UNLEASH = ("unleash", "lean")
"""Names of flag clients that ask an Unleash server."""

CLIENTS = (*UNLEASH, "memory")
"""Names of flag clients; an object with ``is_enabled`` and ``get_variant`` does too."""

ENVIRONMENT = {
    "url": "UNLEASH_URL",
    "api_token": "UNLEASH_API_TOKEN",
    "app_name": "UNLEASH_APP_NAME",
    "environment": "UNLEASH_ENVIRONMENT",
    "project_name": "UNLEASH_PROJECT",
    "instance_id": "UNLEASH_INSTANCE_ID",
    "client": "SERVERLESS_FLAGS_CLIENT",
    "snapshot": "SERVERLESS_FLAGS_SNAPSHOT",
    "max_age": "SERVERLESS_FLAGS_MAX_AGE",
    "stale_while_revalidate": "SERVERLESS_FLAGS_STALE_WHILE_REVALIDATE",
    "stale_if_error": "SERVERLESS_FLAGS_STALE_IF_ERROR",
    "flush_interval": "SERVERLESS_FLAGS_FLUSH_INTERVAL",
    "start_timeout": "SERVERLESS_FLAGS_START_TIMEOUT",
    "refresh_timeout": "SERVERLESS_FLAGS_REFRESH_TIMEOUT",
    "flush_timeout": "SERVERLESS_FLAGS_FLUSH_TIMEOUT",
    "request_timeout": "SERVERLESS_FLAGS_REQUEST_TIMEOUT",
    "register": "SERVERLESS_FLAGS_REGISTER",
    "platform": "SERVERLESS_FLAGS_PLATFORM",
    "plugins": "SERVERLESS_FLAGS_PLUGINS",
}
"""The environment variable of each setting that can stand in the environment."""


class Settings(NamedTuple):
    """Validated settings of one session; every duration in seconds."""

    url: str | None = None
    api_token: str | Callable[[], str] | None = None
    app_name: str | None = None
    environment: str = "default"
    project_name: str | None = None
    instance_id: str | None = None
    client: Any = "unleash"
    snapshot: str | None = None
    max_age: float = 15.0
    stale_while_revalidate: float = 45.0
    stale_if_error: float = float("inf")
    flush_interval: float | None = None
    """None: 60, or 0 where no termination signal can be connected."""
    start_timeout: float = 1.0
    refresh_timeout: float = 0.3
    flush_timeout: float = 0.3
    request_timeout: float = 2.0
    platform: str | None = None
    plugins: Sequence[Any] = ()
    strategies: Mapping[str, Any] = MappingProxyType({})
    on_impression: Callable[[Any], object] | None = None
    register: bool = False
    custom_headers: Mapping[str, str] = MappingProxyType({})
    context: Callable[["Invocation"], Mapping[str, Any]] | None = None
    clock: Callable[[], "Instant"] | None = None

    def __repr__(self) -> str:
        shown = self._replace(api_token=None, custom_headers={})._asdict()
        return f"Settings({', '.join(f'{k}={v!r}' for k, v in shown.items())})"


def load_settings(
    given: Mapping[str, Any], environ: Mapping[str, str] | None = None
) -> Settings:
    """
    Merge and validate settings.

    Args:
        given: keyword arguments; None means not given.
        environ: the environment; an empty variable means not set.

    Raises:
        ConfigurationError: when a value is malformed; it names the setting, where
            the value came from and the cure. It never quotes the token.
    """
    environ = os.environ if environ is None else environ
    values: dict[str, Any] = {}
    for name, check in _CHECKS.items():
        variable = ENVIRONMENT.get(name)
        if given.get(name) is not None:
            values[name] = check(name, given[name])
        elif variable is not None and environ.get(variable):
            values[name] = check(variable, environ[variable])
    return Settings(**values)


def _url(name: str, value: Any) -> str:
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
        # Not quoted: where variables are mixed up, it may be the token.
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


def _token(name: str, value: Any) -> str | Callable[[], str]:
    if callable(value):
        return _called_token(value)
    return check_token(name, value)


def _called_token(provide: Callable[[], Any]) -> Callable[[], str]:
    return lambda: check_token("the result of api_token()", provide())


def check_token(name: str, value: Any) -> str:
    """Return the token, or raise ConfigurationError without quoting it."""
    if not isinstance(value, str):
        message = f"{name} must be a str or a callable that returns one"
        raise ConfigurationError(message)
    if _has_control(value) or not value.isascii() or not value.strip():
        message = (
            f"{name} holds a line break, a control character or a character outside"
            " ASCII and cannot be sent; often a newline at the end of a secret's file:"
            " strip it"
        )
        raise ConfigurationError(message)
    return value.strip()


def _name(name: str, value: Any) -> str:
    if not isinstance(value, str) or _has_control(value) or not value.strip():
        raise _wrong(name, "must be a non-empty text of one line", value, "checkout")
    try:
        value.encode("latin-1")
    except UnicodeEncodeError:
        what = "must be written in Latin-1, for it is sent as a header"
        raise _wrong(name, what, value, "checkout") from None
    return value.strip()


def _seconds(name: str, value: Any) -> float:
    try:
        seconds = float("nan") if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        seconds = float("nan")
    if not 0 <= seconds < float("inf"):
        raise _wrong(name, "must be a number of seconds, 0 or more", value, "0.5")
    return seconds


def _limit(name: str, value: Any) -> float:
    """Seconds, or ``inf`` for no limit."""
    if isinstance(value, (str, float)) and str(value).strip().lower() == "inf":
        return float("inf")
    return _seconds(name, value)


def _timeout(name: str, value: Any) -> float:
    seconds = _seconds(name, value)
    if seconds == 0:
        raise _wrong(name, "must be more than 0 seconds", value, "0.5")
    return seconds


def _client(name: str, value: Any) -> Any:
    if isinstance(value, str):
        if value not in CLIENTS:
            cure = " or ".join(repr(client) for client in CLIENTS)
            message = f"{name} {value!r} is not a flag client; use {cure}, or an object"
            raise ConfigurationError(message)
        return value
    if not (hasattr(value, "is_enabled") and hasattr(value, "get_variant")):
        message = f"{name} must be a name or have is_enabled() and get_variant()"
        raise ConfigurationError(message)
    return value


def _path(name: str, value: Any) -> str:
    try:
        path = os.fspath(value)
    except TypeError:
        path = ""
    if not isinstance(path, str) or not path:
        raise _wrong(name, "must be the path of a JSON file", value, "flags.json")
    if "://" in path:
        raise _wrong(name, "must be a local path", value, "flags.json")
    return path


def _plugins(name: str, value: Any) -> tuple[Any, ...]:
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    try:
        return tuple(value)
    except TypeError:
        message = f"{name} must be a sequence of objects or dotted module names"
        raise ConfigurationError(message) from None


def _mapping(name: str, value: Any) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        message = f"{name} must map strategy names to strategies"
        raise ConfigurationError(message)
    return value


def _headers(name: str, value: Any) -> Mapping[str, str]:
    """Return headers as a dict; their values may be secrets and are never quoted."""
    if not isinstance(value, Mapping):
        message = f"{name} must map header names to texts"
        raise ConfigurationError(message)
    for header, text in value.items():
        if not isinstance(header, str) or not header or not _VISIBLE.issuperset(header):
            message = f"{name} has a key that is no header name; write {{'X-Name': ...}}"
            raise ConfigurationError(message)
        if not isinstance(text, str) or _has_control(text) or not text.isascii():
            message = f"{name}[{header!r}] must be an ASCII text of one line"
            raise ConfigurationError(message)
    return dict(value)


def _callable(name: str, value: Any) -> Any:
    if not callable(value):
        message = f"{name} must be a callable"
        raise ConfigurationError(message)
    return value


def _switch(name: str, value: Any) -> bool:
    word = str(value).strip().lower()
    if word in _ON or word in _OFF:
        return word in _ON
    raise _wrong(name, "must be true or false", value, "true")


def _has_control(value: str) -> bool:
    return any(character < " " or character == "\x7f" for character in value)


def _wrong(name: str, what: str, value: Any, example: str) -> ConfigurationError:
    return ConfigurationError(f"{name} {what}: {value!r}; write for example {example}")


_EXAMPLE = "https://unleash.example.com/api"
_LAST_PORT = 65535
_ON, _OFF = (
    frozenset({"true", "yes", "on", "1"}),
    frozenset({"false", "no", "off", "0"}),
)
_DIGITS = frozenset("0123456789")
_PLAIN = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-_~")
"""What stands in most hosts and paths, and needs no care."""
_VISIBLE = frozenset(map(chr, range(33, 127)))
"""What a URL may be written with; all else is to be percent-encoded."""

_CHECKS: dict[str, Callable[[str, Any], Any]] = {
    "url": _url,
    "api_token": _token,
    "app_name": _name,
    "environment": _name,
    "project_name": _name,
    "instance_id": _name,
    "client": _client,
    "snapshot": _path,
    "max_age": _seconds,
    "stale_while_revalidate": _seconds,
    "stale_if_error": _limit,
    "flush_interval": _seconds,
    "start_timeout": _timeout,
    "refresh_timeout": _timeout,
    "flush_timeout": _timeout,
    "request_timeout": _timeout,
    "platform": _name,
    "plugins": _plugins,
    "strategies": _mapping,
    "on_impression": _callable,
    "register": _switch,
    "custom_headers": _headers,
    "context": _callable,
    "clock": _callable,
}
