"""The entry point recognises functions-framework, and imports nothing elsewhere."""

from __future__ import annotations

import subprocess
import sys

import pytest

import serverless_flags_gcp_cloud_functions as entry_point

KNATIVE_SPECIFICITY = 10
"""The ``specificity`` in ``examples/custom_adapter``."""

OTHERS = ({}, {"K_SERVICE": "a"}, {"FUNCTION_NAME": "a"}, {"GCP_PROJECT": "a"})


@pytest.mark.parametrize(
    "environ",
    [
        {"FUNCTION_TARGET": "hello"},
        {"FUNCTION_TARGET": "hello", "K_SERVICE": "service"},
        {"FUNCTION_NAME": "hello", "GCP_PROJECT": "project"},
    ],
)
def test_functions_framework_is_recognised(environ):
    """Both generations are detected, and precede Knative with its K_SERVICE."""
    platform = entry_point.detect_platform(environ)

    assert platform is not None
    assert platform.name == "gcp_cloud_functions"
    assert platform.specificity > KNATIVE_SPECIFICITY


@pytest.mark.parametrize("environ", OTHERS)
def test_other_processes_are_not(environ):
    """A Cloud Run or Knative service without functions-framework is not a function."""
    assert entry_point.detect_platform(environ) is None


@pytest.mark.parametrize(
    ("environ", "name"),
    [
        ({"K_SERVICE": "service", "FUNCTION_TARGET": "target"}, "service"),
        ({"FUNCTION_TARGET": "target"}, "target"),
        ({"FUNCTION_NAME": "name", "GCP_PROJECT": "project"}, "name"),
    ],
)
def test_the_function_is_named_as_it_was_deployed(environ, name):
    """The name of the service precedes that of the target."""
    platform = entry_point.detect_platform(environ)

    assert platform is not None
    assert name == platform.function_name


def test_detection_imports_only_the_entry_point():
    """On another platform neither ``_platform`` nor ``_emulator`` is imported."""
    script = (
        "import sys, serverless_flags_gcp_cloud_functions as entry_point\n"
        "entry_point.detect_platform({})\n"
        "package = entry_point.__name__\n"
        "print(*[name for name in sys.modules if name.startswith(package)])"
    )
    process = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )

    assert process.stdout.strip() == "serverless_flags_gcp_cloud_functions"


def test_another_platform_is_not_emulated():
    """``emulate`` returns None for other platforms."""
    assert entry_point.emulate("aws_lambda", "a.py:b", {}, sys.executable, {}) is None
