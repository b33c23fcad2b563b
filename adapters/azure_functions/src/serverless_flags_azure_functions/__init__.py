"""
Azure Functions for serverless-flags: the doorbell.

It is imported in every process that has the adapter installed, on any cloud: it looks
at the environment and leaves everything else to ``_platform`` and ``_emulator``.
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
    Recognise the Python worker of the Functions host, on Azure and on a laptop.

    The host indexes functions made with decorators only where
    ``FUNCTIONS_WORKER_RUNTIME`` names the worker, in any case
    (WebJobs.Script/Utility.cs, ``CanWorkerIndex``), and hands it on to the worker. An
    app setting on most plans and in ``local.settings.json``, it is the platform's own
    on Flex Consumption. ``AzureWebJobsScriptRoot`` is not always there, and
    ``WEBSITE_SITE_NAME`` and ``FUNCTIONS_EXTENSION_VERSION`` are in web apps too.
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
    """Run ``target`` under the real worker library on this machine."""
    if platform_name != NAME:
        return None
    from serverless_flags_azure_functions._emulator.emulator import AzureFunctionsEmulator

    return AzureFunctionsEmulator(target, environ=environ, python=python, **options)
