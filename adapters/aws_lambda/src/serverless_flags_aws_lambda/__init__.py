"""AWS Lambda for serverless-flags: the doorbell, which tells whether it is for us."""

from __future__ import annotations

from typing import TYPE_CHECKING

from serverless_flags import hookimpl

if TYPE_CHECKING:
    from collections.abc import Mapping

    from serverless_flags_aws_lambda._emulator import LambdaEmulator
    from serverless_flags_aws_lambda._platform import AwsLambda

__all__ = ["detect_platform", "emulate"]


@hookimpl
def detect_platform(environ: Mapping[str, str]) -> AwsLambda | None:
    """Recognise Lambda by two variables that its runtimes always have."""
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
) -> LambdaEmulator | None:
    """Start ``target`` under awslambdaric; the options are those of ``_options``."""
    if platform_name != "aws_lambda":
        return None
    from serverless_flags_aws_lambda._emulator import LambdaEmulator

    return LambdaEmulator(target, environ=environ, python=python, **options)
