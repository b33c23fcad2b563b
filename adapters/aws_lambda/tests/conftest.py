"""Fixtures that write a function for one test and run it in an emulated instance."""

from __future__ import annotations

import shutil
from pathlib import Path
from textwrap import dedent

import pytest

from serverless_flags.testing import FlagServer, emulate
from serverless_flags.testing.faults import FaultyFlagServer
from serverless_flags_aws_lambda._emulator.environment import Function
from serverless_flags_aws_lambda._emulator.instance_state import InstanceState
from serverless_flags_aws_lambda._emulator.runtime_api_server import RuntimeApiServer

PLAIN_EXTENSION = Path(__file__).parent / "functions" / "plain_extension.py"

HEAD = """
import asyncio, os, signal, threading, time
from serverless_flags import FlagSession

flags = FlagSession()
"""

ANSWER = """
@flags.wrap
def handler(event, context):
    return flags.is_enabled("simpleFlag")
"""


@pytest.fixture(name="write_function")
def _write_function(tmp_path):
    """Write a module next to the plain extension; return its target."""
    shutil.copy(PLAIN_EXTENSION, tmp_path)

    def write(source: str) -> str:
        module = tmp_path / "function.py"
        module.write_text(dedent(source))
        return f"{module}:handler"

    return write


@pytest.fixture(name="is_frozen")
def _is_frozen():
    """Return a function that says whether an instance is frozen."""

    def is_frozen(instance):
        stat = Path(f"/proc/{instance.process.pid}/stat").read_text()
        return stat.rpartition(")")[2].split()[0] == "T"

    return is_frozen


@pytest.fixture(name="polling", params=["true", "false"])
def _polling(request):
    """Run the test with awslambdaric polling on a thread and on the main thread."""
    return request.param


@pytest.fixture(name="flag_server")
def _flag_server():
    """Yield a flag server whose only flag is enabled."""
    with FlagServer({"simpleFlag": True}) as server:
        yield server


@pytest.fixture(name="faulty_server")
def _faulty_server():
    """Yield a flag server with the same flag, and with faults to switch on."""
    with FaultyFlagServer({"simpleFlag": True}) as server:
        yield server


@pytest.fixture(name="run")
def _run(request, write_function):
    """Return a function that makes an instance, with the flag server, of a source."""

    def run(source=ANSWER, *, settings=(), server=None, **options):
        server = server or request.getfixturevalue("flag_server")
        target = write_function(HEAD + dedent(source))
        environ = {**server.environ, **dict(settings)}
        return emulate("aws_lambda", target, environ=environ, **options)

    return run


@pytest.fixture(name="api")
def _api():
    """Yield the API server of an instance in its Init phase."""
    state = InstanceState(workers=1, managed=False, on_idle=lambda: None)
    api = RuntimeApiServer(state, Function("f", "module.handler"))
    yield api
    api.close()
