"""
The AWS Lambda adapter of serverless-flags: its entry point.

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

NAME = "aws_lambda"


@hookimpl
def detect_platform(environ: Mapping[str, str]) -> Platform | None:
    """Recognise Lambda by two variables that all of its runtimes set."""
    if "AWS_LAMBDA_RUNTIME_API" in environ and "AWS_LAMBDA_FUNCTION_NAME" in environ:
        from serverless_flags_aws_lambda import _platform

        if environ.get("SERVERLESS_FLAGS_AWS_LAMBDA_AFTER_RESPONSE") == "1":
            return _platform.AwsLambdaAfterResponse(environ)
        return _platform.AwsLambda(environ)
    return None


@hookimpl
def emulate(
    platform_name: str,
    target: str,
    environ: Mapping[str, str],
    python: str,
    options: Mapping[str, str],
) -> Emulator | None:
    """Run ``target`` under the real awslambdaric on this machine."""
    if platform_name != NAME:
        return None
    from serverless_flags_aws_lambda._emulator.emulator import AwsLambdaEmulator

    return AwsLambdaEmulator(target, environ=environ, python=python, **options)
