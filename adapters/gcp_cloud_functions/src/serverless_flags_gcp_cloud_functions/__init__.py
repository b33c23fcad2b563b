"""
The Google Cloud Functions (Cloud Run functions) adapter: its entry point.

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

NAME = "gcp_cloud_functions"


@hookimpl
def detect_platform(environ: Mapping[str, str]) -> Platform | None:
    """
    Recognise functions-framework, on Google's servers and on your machine.

    It sets ``FUNCTION_TARGET`` itself before it imports your module
    (functions_framework/_function_registry.py, ``get_function_target``). The oldest
    runtimes of the 1st generation have ``FUNCTION_NAME`` and ``GCP_PROJECT`` instead.
    """
    first_generation = "FUNCTION_NAME" in environ and "GCP_PROJECT" in environ
    if not first_generation and "FUNCTION_TARGET" not in environ:
        return None
    from serverless_flags_gcp_cloud_functions._platform import GcpCloudFunctions

    return GcpCloudFunctions(environ)


@hookimpl
def emulate(
    platform_name: str,
    target: str,
    environ: Mapping[str, str],
    python: str,
    options: Mapping[str, str],
) -> Emulator | None:
    """Run ``target`` under the real functions-framework on this machine."""
    if platform_name != NAME:
        return None
    from serverless_flags_gcp_cloud_functions._emulator.emulator import (
        GcpCloudFunctionsEmulator,
    )

    return GcpCloudFunctionsEmulator(target, environ=environ, python=python, **options)
