"""The doorbell recognises functions-framework and costs other processes nothing."""

from __future__ import annotations

import subprocess
import sys

import pytest

import serverless_flags_gcp_cloud_functions as doorbell

KNATIVE_SPECIFICITY = 10
"""What ``examples/custom_adapter`` says of itself."""

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
    """Both generations and the laptop are ours, above Knative's K_SERVICE."""
    platform = doorbell.detect_platform(environ)

    assert platform is not None
    assert platform.name == "gcp_cloud_functions"
    assert platform.specificity > KNATIVE_SPECIFICITY


@pytest.mark.parametrize("environ", OTHERS)
def test_other_processes_are_not(environ):
    """A Cloud Run or Knative service without functions-framework is not a function."""
    assert doorbell.detect_platform(environ) is None


@pytest.mark.parametrize(
    ("environ", "name"),
    [
        ({"K_SERVICE": "service", "FUNCTION_TARGET": "target"}, "service"),
        ({"FUNCTION_TARGET": "target"}, "target"),
        ({"FUNCTION_NAME": "name", "GCP_PROJECT": "project"}, "name"),
    ],
)
def test_the_function_is_named_as_it_was_deployed(environ, name):
    """The service's name comes before the entry point's."""
    platform = doorbell.detect_platform(environ)

    assert platform is not None
    assert name == platform.function_name


def test_the_doorbell_does_not_enter_its_rooms():
    """Asking on another cloud imports neither the platform nor the emulator."""
    script = (
        "import sys, serverless_flags_gcp_cloud_functions as doorbell\n"
        "doorbell.detect_platform({})\n"
        "ours = [name for name in sys.modules if name.startswith(doorbell.__name__)]\n"
        "print(*ours)"
    )
    process = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )

    assert process.stdout.strip() == "serverless_flags_gcp_cloud_functions"


def test_another_platform_is_not_emulated():
    """``emulate`` is answered for our own name only."""
    assert doorbell.emulate("aws_lambda", "a.py:b", {}, sys.executable, {}) is None
