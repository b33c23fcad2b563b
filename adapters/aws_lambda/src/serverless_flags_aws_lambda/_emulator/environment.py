"""The environment of an instance: its runtime and its environment variables."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from serverless_flags import EmulatorError
from serverless_flags.testing import Emulator

if TYPE_CHECKING:
    from pathlib import Path

    from serverless_flags_aws_lambda._emulator.options import Options

REGION = "eu-west-1"


@dataclass(frozen=True, slots=True)
class Function:
    """The function of an instance."""

    name: str
    handler: str
    """``module.function``."""

    @property
    def arn(self) -> str:
        """The function's Amazon Resource Name."""
        return f"arn:aws:lambda:{REGION}:123456789012:function:{self.name}"

    @property
    def description(self) -> dict[str, str]:
        """The response to the registration of an extension."""
        return {
            "functionName": self.name,
            "functionVersion": "$LATEST",
            "handler": self.handler,
        }


@cache
def find_runtime(python: str) -> tuple[str, str]:
    """
    Return the versions of awslambdaric and Python of the interpreter ``python``.

    Raises:
        EmulatorError: when awslambdaric is not installed or does not run on this
            system.
    """
    if sys.platform != "linux":
        message = "awslambdaric runs on Linux only: use a container or WSL"
        raise EmulatorError(message)
    probe = (
        "import importlib.metadata as m, platform as p;"
        "print(m.version('awslambdaric'), p.python_version())"
    )
    try:
        done = subprocess.run(  # noqa: S603  reason: the caller's own interpreter
            [python, "-c", probe], capture_output=True, check=True, text=True
        )
    except (OSError, subprocess.CalledProcessError) as error:
        message = (
            f"{python} has no awslambdaric: "
            "pip install 'serverless-flags-aws-lambda[emulator]'"
        )
        raise EmulatorError(message) from error
    ric, version = done.stdout.split()
    return ric, version


def build_environ(
    function: Function, task_root: Path, options: Options, version: str
) -> dict[str, str]:
    """
    Return the machine's environment variables, without any platform's, and Lambda's.

    Args:
        function: the function of the instance.
        task_root: the directory of its module.
        options: the emulator's options.
        version: the version of the instance's Python.
    """
    machine = Emulator.machine_environ()
    path = [str(task_root), *filter(None, [machine.get("PYTHONPATH")])]
    return {
        **machine,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_EXECUTION_ENV": _name_execution_env(options.polling, version),
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "512",
        "AWS_LAMBDA_FUNCTION_NAME": function.name,
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_REGION": REGION,
        "LAMBDA_TASK_ROOT": str(task_root),
        "PYTHONPATH": os.pathsep.join(path),
        "_HANDLER": function.handler,
        **_name_mode(options),
    }


def _name_execution_env(polling: str, version: str) -> str:
    """Return the value from which awslambdaric derives how it polls for events."""
    named = {"true": "AWS_Lambda_python3.12", "false": "AWS_Lambda_Image"}
    return named.get(polling) or f"AWS_Lambda_python{version.rpartition('.')[0]}"


def _name_mode(options: Options) -> dict[str, str]:
    """Return the variables that tell awslambdaric the mode of the instance."""
    if options.managed:
        return {
            "AWS_LAMBDA_INITIALIZATION_TYPE": "lambda-managed-instances",
            "AWS_LAMBDA_MAX_CONCURRENCY": str(options.workers),
        }
    return {"AWS_LAMBDA_INITIALIZATION_TYPE": options.mode}
