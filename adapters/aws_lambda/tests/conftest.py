"""Functions written for one test each, and the instances that run them."""

from __future__ import annotations

import shutil
from pathlib import Path
from textwrap import dedent

import pytest

from serverless_flags.testing import FlagServer, emulate
from serverless_flags.testing.faults import FaultyFlagServer

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
    """Write a module, with the plain extension beside it; return its ``handler``."""
    shutil.copy(PLAIN_EXTENSION, tmp_path)

    def write(source: str) -> str:
        module = tmp_path / "function.py"
        module.write_text(dedent(source))
        return f"{module}:handler"

    return write


@pytest.fixture(name="is_frozen")
def _is_frozen():
    """Tell whether the process of an instance is stopped."""

    def is_frozen(instance):
        stat = Path(f"/proc/{instance.process.pid}/stat").read_text()
        return stat.rpartition(")")[2].split()[0] == "T"

    return is_frozen


@pytest.fixture(name="polling", params=["true", "false"])
def _polling(request):
    """Run the test with awslambdaric polling from a thread, and in the main thread."""
    return request.param


@pytest.fixture(name="flag_server")
def _flag_server():
    """Yield a flag server whose one flag is on."""
    with FlagServer({"simpleFlag": True}) as server:
        yield server


@pytest.fixture(name="faulty_server")
def _faulty_server():
    """Yield the same, which fails as the test says."""
    with FaultyFlagServer({"simpleFlag": True}) as server:
        yield server


@pytest.fixture(name="run")
def _run(request, write_function):
    """Return what makes an instance, which knows the flag server, of a source."""

    def run(source=ANSWER, *, settings=(), server=None, **options):
        server = server or request.getfixturevalue("flag_server")
        target = write_function(HEAD + dedent(source))
        environ = {**server.environ, **dict(settings)}
        return emulate("aws_lambda", target, environ=environ, **options)

    return run
