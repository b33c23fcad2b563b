"""Environment variables that look like settings and are none: each is warned of once.

Imported only in a process that has such a variable.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from serverless_flags._log import logger

if TYPE_CHECKING:
    from collections.abc import Container, Iterable

OURS = "SERVERLESS_FLAGS_"

ADAPTERS = (
    "SERVERLESS_FLAGS_AWS_LAMBDA_",
    "SERVERLESS_FLAGS_AZURE_FUNCTIONS_",
    "SERVERLESS_FLAGS_GCP_CLOUD_FUNCTIONS_",
)
"""How the variables of this project's adapters begin. A newer adapter may read more
than this core knows: here only what resembles a known name is a mistake."""

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
"""What other SDKs and their users call the settings of the server."""

_warned: set[str] = set()


def warn_about(
    names: Iterable[str], known: Iterable[str], read: Container[str], plugins: Any
) -> None:
    """
    Warn of variables that no part of the session reads, once in each process.

    What a variable holds is never quoted: it may be the token.

    Args:
        names: variables that begin like those of settings and are none.
        known: the variables that there are.
        read: those of settings that have a value.
        plugins: the setting; a plugin may have variables with its own name.
    """
    for name in sorted(set(names) - _warned):
        if name.startswith(OURS) and not name.startswith(ADAPTERS):
            if name.startswith(_prefixes_of(plugins)):
                continue
            meant = _meant(name, known, cutoff=0.6)
        else:  # it may be somebody else's, or read by the user's own code
            meant = _meant(name, known, cutoff=0.85)
            if meant is None or meant in read:
                continue
        _warned.add(name)
        logger.warning(
            "the environment variable %s has no effect: it is no setting; %s",
            name,
            f"did you mean {meant}?"
            if meant
            else "see the page Settings of the documentation",
        )


def _meant(name: str, known: Iterable[str], cutoff: float) -> str | None:
    """Return the variable that is probably meant: the one with the nearest tail."""
    from difflib import get_close_matches  # for a mistake only

    tails = {_tail(each): each for each in known}
    tail = _tail(name.upper())
    close = get_close_matches(SYNONYMS.get(tail, tail), tails, 1, cutoff)
    return tails[close[0]] if close else None


def _tail(name: str) -> str:
    """Return a variable's name without the prefix, in whichever form it has it."""
    return re.sub("^(SERVERLESS_?FLAGS?|UNLEASH)_?", "", name)


def _prefixes_of(plugins: Iterable[object]) -> tuple[str, ...]:
    """Return how the variables of plugins begin: each may have its own."""
    from importlib.metadata import entry_points  # 23 ms, in such a process only

    words = [point.name for point in entry_points(group="serverless_flags")]
    for plugin in plugins:
        word = plugin if isinstance(plugin, str) else getattr(plugin, "name", None)
        if isinstance(word, str):
            words.append(word.rpartition(".")[2].removeprefix("serverless_flags_"))
    return tuple(f"{OURS}{word.upper().replace('-', '_')}_" for word in words)
