"""The contract of every adapter, under awslambdaric."""

from __future__ import annotations

from pathlib import Path

from serverless_flags.testing import AdapterContract

FUNCTION = Path(__file__).parent / "functions" / "contract.py"


class TestPolling(AdapterContract):
    platform = "aws_lambda"
    environ = {
        "AWS_LAMBDA_FUNCTION_NAME": "hello",
        "AWS_LAMBDA_RUNTIME_API": "127.0.0.1:9001",
    }
    target = f"{FUNCTION}:function"
    options = {"polling": "true"}


class TestNoPolling(TestPolling):
    options = {"polling": "false"}


class TestCoroutine(TestPolling):
    target = f"{FUNCTION}:function_async"
