"""The contract of every adapter, under each server of functions-framework."""

from __future__ import annotations

from pathlib import Path

from serverless_flags.testing import AdapterContract

FUNCTION = Path(__file__).parent / "functions" / "contract.py"


class TestGthread(AdapterContract):
    platform = "gcp_cloud_functions"
    environ = {"FUNCTION_TARGET": "hello"}
    target = f"{FUNCTION}:function"


class TestSync(TestGthread):
    options = {"server": "sync"}


class TestUvicorn(TestGthread):
    target = f"{FUNCTION}:function_async"
