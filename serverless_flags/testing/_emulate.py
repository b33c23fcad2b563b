"""Ask the installed adapters for the emulator of their platform."""

from __future__ import annotations

import sys
from difflib import get_close_matches
from typing import TYPE_CHECKING

from serverless_flags._log import logger
from serverless_flags._plugins.binding import implementations, new_manager, register
from serverless_flags._plugins.discovery import MARKERS
from serverless_flags.exceptions import EmulatorError
from serverless_flags.hookspecs import PROJECT
from serverless_flags.testing.emulator import Emulator

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from serverless_flags._plugins.binding import Bound

KNOWN = frozenset(word for _, word in MARKERS)
"""The platforms of this project's adapters."""


def emulate(
    platform_name: str,
    target: str,
    *,
    environ: Mapping[str, str] | None = None,
    python: str | None = None,
    **options: str,
) -> Emulator:
    """
    Return an instance of ``target`` under its platform's real runtime, not yet started.

    Args:
        platform_name: the platform's one word, such as ``aws_lambda``.
        target: ``path/to/module.py:function``.
        environ: what the function's environment has beyond the platform's own.
        python: the interpreter that runs the instance; this one when not given.
        options: what the platform's emulator can do beyond that.

    Raises:
        EmulatorError: when no installed adapter emulates the platform; it names those
            that can be emulated.
    """
    hooks = list(_hooks())
    for name, hook in hooks:
        emulator = hook(
            platform_name=platform_name,
            target=target,
            environ=dict(environ or {}),
            python=python or sys.executable,
            options=options,
        )
        if emulator is not None:
            return _checked(emulator, name)
    raise EmulatorError(_cure(platform_name, [name for name, _ in hooks]))


def _checked(emulator: object, adapter: str) -> Emulator:
    if isinstance(emulator, Emulator):
        return emulator
    what = f"adapter {adapter!r} returned a {type(emulator).__name__} from emulate"
    message = f"{what}, expected a serverless_flags.testing.Emulator or None"
    raise EmulatorError(message)


def _cure(platform_name: str, installed: list[str]) -> str:
    """Say which platform may be meant, which there are, and what to install."""
    near = get_close_matches(platform_name.replace("-", "_"), {*installed, *KNOWN}, 1)
    meant = near[0] if near else platform_name
    message = f"no installed adapter emulates {platform_name!r}"
    if meant != platform_name:
        message += f", did you mean {meant!r}?"
    if installed:
        message += f" The installed ones emulate {', '.join(sorted(installed))}."
    if meant not in installed:
        package = f"serverless-flags-{meant.replace('_', '-')}"
        message += f" Another one: pip install '{package}[emulator]'"
    return message


def _hooks() -> Iterator[tuple[str, Bound]]:
    """Yield the platform's name and the hook of each adapter that emulates one."""
    # Only here: production finds adapters by name, without this module's cost.
    from importlib.metadata import entry_points

    for entry_point in entry_points(group=PROJECT):
        manager = new_manager()
        try:
            register(manager, entry_point.load(), entry_point.name)
        except Exception:  # noqa: BLE001  reason: another adapter may do
            logger.warning(
                "The adapter %r cannot be loaded and is left out",
                entry_point.name,
                exc_info=True,
            )
            continue
        for hook in implementations(manager, "emulate"):
            yield entry_point.name, hook
