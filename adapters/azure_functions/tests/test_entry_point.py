"""The entry point recognises the Python worker, and imports nothing elsewhere."""

from __future__ import annotations

import subprocess
import sys

import pytest

import serverless_flags_azure_functions as entry_point
from serverless_flags_azure_functions._platform import AzureFunctions


@pytest.mark.parametrize("value", ["python", "Python"])
def test_the_python_worker_is_recognised(value):
    """The setting is compared without regard to case, as the host does."""
    platform = entry_point.detect_platform({"FUNCTIONS_WORKER_RUNTIME": value})

    assert isinstance(platform, AzureFunctions)
    assert platform.name == "azure_functions"


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"FUNCTIONS_WORKER_RUNTIME": "node"},
        {"WEBSITE_SITE_NAME": "a-web-app", "WEBSITE_INSTANCE_ID": "1"},
        {"FUNCTION_TARGET": "hello", "K_SERVICE": "hello"},
    ],
)
def test_other_processes_are_not(environ):
    """Web apps, other languages and other platforms are not detected."""
    assert entry_point.detect_platform(environ) is None


def test_detection_imports_only_the_entry_point():
    """On another platform neither ``_platform`` nor ``_emulator`` is imported."""
    code = (
        "import sys, serverless_flags_azure_functions as entry_point\n"
        "assert entry_point.detect_platform({}) is None\n"
        "assert entry_point.emulate('other', '', {}, '', {}) is None\n"
        "names = [n for n in sys.modules if n.startswith(entry_point.__name__)]\n"
        "assert names == [entry_point.__name__], names\n"
        "assert 'asyncio' not in sys.modules\n"
    )

    subprocess.run([sys.executable, "-c", code], check=True)
