"""The contract of every adapter, under Azure's worker."""

from __future__ import annotations

from pathlib import Path

from serverless_flags.testing import AdapterContract

FUNCTIONS = Path(__file__).parent / "apps" / "contract.py"


class TestPool(AdapterContract):
    platform = "azure_functions"
    environ = {"FUNCTIONS_WORKER_RUNTIME": "python"}
    target = f"{FUNCTIONS}:function"


class TestLoop(TestPool):
    target = f"{FUNCTIONS}:function_async"
