"""The entry point recognises Lambda, and imports nothing elsewhere."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from serverless_flags_aws_lambda import detect_platform
from serverless_flags_aws_lambda._platform import AwsLambda, AwsLambdaAfterResponse

ENVIRON = {"AWS_LAMBDA_RUNTIME_API": "127.0.0.1:9001", "AWS_LAMBDA_FUNCTION_NAME": "f"}


@pytest.mark.parametrize(
    "environ", [{}, *({name: value} for name, value in ENVIRON.items())]
)
def test_detects_nothing_elsewhere(environ: dict[str, str]) -> None:
    """Each of the two variables alone does not identify Lambda."""
    assert detect_platform(environ) is None


@pytest.mark.parametrize(
    ("value", "kind"),
    [("1", AwsLambdaAfterResponse), ("0", AwsLambda), ("", AwsLambda)],
)
def test_work_after_the_response_is_opt_in(value: str, kind: type) -> None:
    """Only the variable registers the extension that Lambda waits for."""
    name = "SERVERLESS_FLAGS_AWS_LAMBDA_AFTER_RESPONSE"

    assert type(detect_platform(ENVIRON)) is AwsLambda
    assert type(detect_platform({**ENVIRON, name: value})) is kind


def test_detection_imports_only_the_entry_point() -> None:
    """On another platform, the entry point imports no module of the implementation."""
    source = (
        "import serverless_flags_aws_lambda as entry_point, json, sys;"
        "entry_point.detect_platform({});"
        "print(json.dumps(sorted(n for n in sys.modules if 'aws_lambda' in n)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", source], capture_output=True, check=True, text=True
    )

    assert json.loads(done.stdout) == ["serverless_flags_aws_lambda"]
