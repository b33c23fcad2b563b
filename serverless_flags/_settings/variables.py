"""
Warn once about each environment variable that looks like a setting but is not.

Imported only in a process that has such a variable.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from serverless_flags._log import logger

if TYPE_CHECKING:
    from collections.abc import Container, Iterable

PREFIX = "SERVERLESS_FLAGS_"

ADAPTERS = (
    "SERVERLESS_FLAGS_AWS_LAMBDA_",
    "SERVERLESS_FLAGS_AZURE_FUNCTIONS_",
    "SERVERLESS_FLAGS_GCP_CLOUD_FUNCTIONS_",
)
"""Prefixes of the variables of this project's adapters. A newer adapter may read
variables that this core does not know, so only names like a known one are mistakes."""

SYNONYMS = {
    "API_KEY": "API_TOKEN",
    "AUTH_TOKEN": "API_TOKEN",
    "BACKEND_TOKEN": "API_TOKEN",
    "CLIENT_KEY": "API_TOKEN",
    "CLIENT_TOKEN": "API_TOKEN",
    "KEY": "API_TOKEN",
    "SECRET": "API_TOKEN",
    "SERVER_KEY": "API_TOKEN",
    "TOKEN": "API_TOKEN",
    "APP": "APP_NAME",
    "APPLICATION": "APP_NAME",
    "APPLICATION_NAME": "APP_NAME",
    "ENV": "ENVIRONMENT",
    "PROJECT_ID": "PROJECT",
    "PROJECT_NAME": "PROJECT",
    "API_URL": "URL",
    "BASE_URL": "URL",
    "ENDPOINT": "URL",
    "HOST": "URL",
    "SERVER_URL": "URL",
    "URI": "URL",
}
"""Names that other SDKs and their users have for the server's settings."""

_warned: set[str] = set()


def warn_about(
    names: Iterable[str], known: Iterable[str], read: Container[str], plugins: Any
) -> None:
    """
    Warn about variables that no part of the session reads, once per process.

    The value of a variable is never quoted, because it may be the token.

    Args:
        names: variables that look like settings but are not.
        known: all variables of settings.
        read: the variables from which a setting was read.
        plugins: the setting; a plugin may have variables with its own name.
    """
    for name in sorted(set(names) - _warned):
        if name.startswith(PREFIX) and not name.startswith(ADAPTERS):
            if name.startswith(_prefixes_of(plugins)):
                continue
            meant = _meant(name, known, cutoff=0.6)
        else:  # another program or the user's own code may read it
            meant = _meant(name, known, cutoff=0.85)
            if meant is None or meant in read:
                continue
        _warned.add(name)
        logger.warning(
            "the environment variable %s has no effect: it is not a setting; %s",
            name,
            f"did you mean {meant}?"
            if meant
            else "see the page Settings of the documentation",
        )


def _meant(name: str, known: Iterable[str], cutoff: float) -> str | None:
    """Return the known variable with the most similar name, if one is similar."""
    from difflib import get_close_matches  # only after a mistake

    tails = {_tail(each): each for each in known}
    tail = _tail(name.upper())
    close = get_close_matches(SYNONYMS.get(tail, tail), tails, 1, cutoff)
    return tails[close[0]] if close else None


def _tail(name: str) -> str:
    """Return a variable's name without its prefix, in any spelling of the prefix."""
    return re.sub("^(SERVERLESS_?FLAGS?|UNLEASH)_?", "", name)


def _prefixes_of(plugins: Iterable[object]) -> tuple[str, ...]:
    """Return the prefixes of the variables that plugins may read."""
    from importlib.metadata import entry_points  # 23 ms, in such a process only

    names = [point.name for point in entry_points(group="serverless_flags")]
    for plugin in plugins:
        name = plugin if isinstance(plugin, str) else getattr(plugin, "name", None)
        if isinstance(name, str):
            names.append(name.rpartition(".")[2].removeprefix("serverless_flags_"))
    return tuple(f"{PREFIX}{name.upper().replace('-', '_')}_" for name in names)
