"""Settings: keyword arguments first, then the environment, then the default."""

from __future__ import annotations

import os
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from serverless_flags._settings.checks import (
    CLIENTS,
    UNLEASH,
    check_callable,
    check_client,
    check_limit,
    check_name,
    check_path,
    check_plain_callable,
    check_plugins,
    check_seconds,
    check_switch,
    check_timeout,
)
from serverless_flags._settings.server_checks import (
    check_headers,
    check_token_setting,
    check_url,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from serverless_flags._clock import Instant
    from serverless_flags.platform import Invocation

__all__ = ["CLIENTS", "ENVIRONMENT", "UNLEASH", "Settings", "load_settings"]

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
"""The environment variable of each setting that has one."""

ADAPTERS = ("SERVERLESS_FLAGS_AWS_LAMBDA_AFTER_RESPONSE",)
"""Variables that the adapters of this project read themselves."""


class Settings:
    """
    Validated settings of one session; every duration in seconds.

    A plain class, because defining a named tuple of so many fields takes 0.5 ms.
    """

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
    """None: 60, or 0 where the platform sends no shutdown signal."""
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
    context: Callable[[Invocation], Mapping[str, Any]] | None = None
    clock: Callable[[], Instant] | None = None

    def __init__(self, **given: Any) -> None:
        vars(self).update(given)

    def values(self) -> dict[str, Any]:
        """Return all settings by name."""
        return {name: getattr(self, name) for name in type(self).__annotations__}

    def replace(self, **given: Any) -> Settings:
        """Return a copy with some settings changed."""
        return Settings(**{**vars(self), **given})

    def __repr__(self) -> str:
        shown = self.replace(api_token=None, custom_headers={}).values()
        return f"Settings({', '.join(f'{k}={v!r}' for k, v in shown.items())})"


def load_settings(
    given: Mapping[str, Any], environ: Mapping[str, str] | None = None
) -> Settings:
    """
    Merge and validate settings.

    Args:
        given: keyword arguments; None means not given.
        environ: the environment; an empty variable counts as not set. A variable that
            looks like a setting but is not one is logged as a warning.

    Raises:
        ConfigurationError: when a value is malformed; the message names the setting,
            the source of the value and what to change, and never quotes the token.
    """
    environ = os.environ if environ is None else environ
    values: dict[str, Any] = {}
    for name, check in _CHECKS.items():
        variable = ENVIRONMENT.get(name)
        if given.get(name) is not None:
            values[name] = check(name, given[name])
        elif variable is not None and environ.get(variable):
            values[name] = check(variable, environ[variable])
    _warn_about_unknown(environ, values)
    return Settings(**values)


def _warn_about_unknown(environ: Mapping[str, str], values: Mapping[str, Any]) -> None:
    """Warn about variables that look like settings but are not."""
    unknown = [
        variable
        for variable in environ
        if variable.upper().startswith(_PREFIXES)
        and variable not in _VARIABLES
        and environ.get(variable)
    ]
    if unknown:
        # only after a mistake
        from serverless_flags._settings.variables import warn_about

        read = [ENVIRONMENT[name] for name in values if name in ENVIRONMENT]
        warn_about(unknown, _VARIABLES, read, values.get("plugins", ()))


def _strategies(name: str, value: Any) -> Mapping[str, Any]:
    # late: only with custom strategies
    from serverless_flags._settings.strategies import check_strategies

    return check_strategies(name, value)


_CHECKS: dict[str, Callable[[str, Any], Any]] = {
    "url": check_url,
    "api_token": check_token_setting,
    "app_name": check_name,
    "environment": check_name,
    "project_name": check_name,
    "instance_id": check_name,
    "client": check_client,
    "snapshot": check_path,
    "max_age": check_seconds,
    "stale_while_revalidate": check_seconds,
    "stale_if_error": check_limit,
    "flush_interval": check_seconds,
    "start_timeout": check_timeout,
    "refresh_timeout": check_timeout,
    "flush_timeout": check_timeout,
    "request_timeout": check_timeout,
    "platform": check_name,
    "plugins": check_plugins,
    "strategies": _strategies,
    "on_impression": check_plain_callable,
    "register": check_switch,
    "custom_headers": check_headers,
    "context": check_callable,
    "clock": check_plain_callable,
}
_VARIABLES = frozenset([*ENVIRONMENT.values(), *ADAPTERS])
_PREFIXES = ("SERVERLESS_FLAG", "SERVERLESSFLAG", "UNLEASH")
