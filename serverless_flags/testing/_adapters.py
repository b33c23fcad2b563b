"""Ask the installed adapters for the emulator of their platform."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING

import pluggy

from serverless_flags.exceptions import EmulatorError
from serverless_flags.hookspecs import PROJECT, HookSpecs

if TYPE_CHECKING:
    from collections.abc import Mapping

    from serverless_flags.testing.emulator import Emulator

logger = logging.getLogger("serverless_flags")


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
        EmulatorError: when no installed adapter emulates the platform.
    """
    emulators: list[Emulator] = _adapters().hook.emulate(
        platform_name=platform_name,
        target=target,
        environ=dict(environ or {}),
        python=python or sys.executable,
        options=options,
    )
    if not emulators:
        package = f"serverless-flags-{platform_name.replace('_', '-')}"
        message = (
            f"no installed adapter emulates {platform_name!r}: "
            f"pip install '{package}[emulator]'"
        )
        raise EmulatorError(message)
    return emulators[0]


def _adapters() -> pluggy.PluginManager:
    # Only here: production finds adapters by name, without this module's cost.
    from importlib.metadata import entry_points

    adapters = pluggy.PluginManager(PROJECT)
    adapters.add_hookspecs(HookSpecs)
    for entry_point in entry_points(group=PROJECT):
        try:
            adapters.register(entry_point.load(), entry_point.name)
        except Exception:
            logger.warning(
                "The adapter %r cannot be loaded and is left out",
                entry_point.name,
                exc_info=True,
            )
    return adapters
