"""The emulator runs the real functions-framework as Google does."""

from __future__ import annotations

import contextlib
import signal
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from serverless_flags import EmulatorError, MissingDependencyError
from serverless_flags_gcp_cloud_functions._emulator.emulator import (
    GcpCloudFunctionsEmulator,
)

PLAIN = Path(__file__).parent / "functions" / "plain.py"


@pytest.mark.parametrize("server", ["gthread", "sync"])
def test_gunicorn_imports_in_the_master_and_serves_in_a_worker(start, server):
    """The master imports the module, a worker serves it."""
    instance = start("plain.py:http", server=server)

    answer = instance.request().json()

    assert instance.process.pid == answer["imported_by"]
    assert answer["pid"] != answer["imported_by"]
    assert (server == "sync") == answer["main_thread"]


@pytest.mark.parametrize(
    ("target", "on_main_thread"), [("aio_http", True), ("aio_def_http", False)]
)
def test_an_aio_target_is_served_by_uvicorn(start, target, on_main_thread):
    """functions-framework chooses uvicorn by the target, not by the option."""
    instance = start(f"plain.py:{target}")

    answer = instance.request().json()

    assert answer["main_thread"] is on_main_thread
    assert "(uvicorn)" in instance.runtime


def test_the_runtime_names_its_versions(start):
    """``runtime`` names the framework, its server and the instance's Python."""
    instance = start("plain.py:http", server="sync")

    python = ".".join(map(str, sys.version_info[:3]))
    expected = (
        f"functions-framework {version('functions-framework')} (gunicorn sync), "
        f"Python {python}"
    )
    assert expected == instance.runtime


def test_the_environment_is_googles(start, monkeypatch):
    """Other platforms' variables are removed, and ``environ`` takes precedence."""
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", "other-cloud")
    monkeypatch.setenv("THREADS", "1")
    monkeypatch.setenv("KEPT", "kept")
    instance = start(
        "plain.py:http", environ={"K_SERVICE": "named", "UNLEASH_URL": "u"}
    )

    environ = instance.request().json()["environ"]

    assert "AWS_LAMBDA_FUNCTION_NAME" not in environ
    assert "THREADS" not in environ
    assert (
        environ["KEPT"],
        environ["K_SERVICE"],
        environ["UNLEASH_URL"],
    ) == ("kept", "named", "u")
    assert (
        environ["FUNCTION_TARGET"],
        environ["FUNCTION_SIGNATURE_TYPE"],
    ) == ("http", "http")


def test_a_request_reaches_the_function_whole(start):
    """Method, path, headers and body arrive unchanged."""
    instance = start("plain.py:http")

    answer = instance.request(
        "/a/b", method="PUT", headers={"x-asked": "yes"}, body=b"body"
    )

    assert answer.status == 200
    assert answer.json()["asked"] == ["PUT", "/a/b", "yes"]
    assert answer.json()["body"] == "body"
    assert 0 < answer.seconds < instance.cold_start


def test_an_event_reaches_the_function(start):
    """``cloud_event`` delivers the data, and given and default attributes."""
    instance = start("plain.py:cloud_event")

    answer = instance.cloud_event({"a": 1}, id="42", type="com.example.thing")

    assert answer.status == 200
    expected = "event com.example.thing //serverless-flags/emulator 42 {'a': 1}"
    assert expected in instance.output


def test_a_background_function_is_called_with_data_and_context(start):
    """``signature_type`` applies to functions without a decorator."""
    instance = start("plain.py:background", signature_type="event")

    body = b'{"context": {"eventId": "7", "eventType": "t"}, "data": {"a": 1}}'
    answer = instance.request(
        method="POST", headers={"content-type": "application/json"}, body=body
    )

    assert answer.status == 200
    assert "background {'a': 1} 7 t" in instance.output


def test_the_grace_ends_with_sigkill(start):
    """An instance that does not end in time is killed, as on Cloud Run."""
    instance = start("plain.py:http", grace="0.05")
    instance.freeze()  # a stopped process does not handle SIGTERM

    end = instance.terminate()

    assert (end.code, end.killed) == (-signal.SIGKILL, True)


def test_two_workers_serve(start):
    """``workers`` sets the number of gunicorn's worker processes."""
    instance = start("plain.py:http", workers="2", server="sync")

    assert instance.request().json()["environ"]["WORKERS"] == "2"


def test_a_module_that_fails_shows_what_it_printed(start):
    """The error of an instance that does not start shows its traceback."""
    with pytest.raises(EmulatorError, match="to contain a function named 'absent'"):
        start("plain.py:absent")


def test_an_instance_that_is_gone_is_an_error(start):
    """A request to an instance that has ended raises an error."""
    instance = start("plain.py:http")
    instance.kill()

    with pytest.raises(EmulatorError, match="does not answer"):
        instance.request()


def test_an_unknown_server_is_refused():
    """The error for an unknown server lists the known ones."""
    with pytest.raises(EmulatorError, match="gthread, sync, uvicorn, debug"):
        GcpCloudFunctionsEmulator(f"{PLAIN}:http", server="waitress")


def test_a_python_without_functions_framework_shows_the_cure(tmp_path):
    """The error shows the command that installs functions-framework."""
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" -I -S "$@"\n')
    python.chmod(0o755)

    instance = GcpCloudFunctionsEmulator(f"{PLAIN}:http", python=str(python))
    with (
        contextlib.closing(instance),
        pytest.raises(MissingDependencyError, match=r"pip install .*\[emulator\]"),
    ):
        _ = instance.runtime
    with pytest.raises(EmulatorError) as caught, instance:
        pass

    assert "functions-framework is not installed for" in str(caught.value)
    assert "pip install 'serverless-flags-gcp-cloud-functions[emulator]'" in str(
        caught.value
    )
