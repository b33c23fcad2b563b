"""
The Azure Functions adapter of serverless-flags: its entry point.

Every process that has the adapter installed may import this module, on any platform. It
only reads the environment variables that it is given; all else is in ``_platform`` and,
for development, in ``_emulator``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from serverless_flags import hookimpl

if TYPE_CHECKING:
    from collections.abc import Mapping

    from serverless_flags import Platform
    from serverless_flags.testing import Emulator

NAME = "azure_functions"


@hookimpl
def detect_platform(environ: Mapping[str, str]) -> Platform | None:
    """
    Recognise the Python worker of the Functions host, on Azure and on your machine.

    The host indexes functions made with decorators only if ``FUNCTIONS_WORKER_RUNTIME``
    names the worker, in upper or lower case (WebJobs.Script/Utility.cs,
    ``CanWorkerIndex``), and passes the variable to the worker. It is an app setting on
    most plans and in ``local.settings.json``, and set by the platform on Flex
    Consumption. ``AzureWebJobsScriptRoot`` is not always set, and web apps have
    ``WEBSITE_SITE_NAME`` and ``FUNCTIONS_EXTENSION_VERSION``, too.
    """
    if environ.get("FUNCTIONS_WORKER_RUNTIME", "").lower() != "python":
        return None
    from serverless_flags_azure_functions._platform import AzureFunctions

    return AzureFunctions(environ)


@hookimpl
def emulate(
    platform_name: str,
    target: str,
    environ: Mapping[str, str],
    python: str,
    options: Mapping[str, str],
) -> Emulator | None:
    """Run ``target`` under the worker's real library on this machine."""
    if platform_name != NAME:
        return None
    from serverless_flags_azure_functions._emulator.emulator import (
        AzureFunctionsEmulator,
    )

    return AzureFunctionsEmulator(target, environ=environ, python=python, **options)
