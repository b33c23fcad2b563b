"""The emulator invokes functions as the host and the worker of their Python do."""

from __future__ import annotations

import concurrent.futures
import contextlib
import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest

from serverless_flags.exceptions import EmulatorError
from serverless_flags_azure_functions._emulator.emulator import AzureFunctionsEmulator
from serverless_flags_azure_functions._emulator.worker import (
    __main__ as worker_program,
)

APPS = Path(__file__).parent / "apps"


def test_def_functions_run_in_the_pool_and_coroutines_on_the_loop(start):
    """The module is imported, and coroutines run, on the main thread."""
    instance = start("plain.py:hello")

    pool, loop = instance.request(), instance.request("/api/hello_async")

    assert pool.json()["imported_by"] == "MainThread"
    assert pool.json()["thread"].startswith("ThreadPoolExecutor")
    assert loop.json()["thread"] == "MainThread"
    assert 202 == pool.status == loop.status


def test_a_request_arrives_as_it_was_sent(start):
    """Method, query and body arrive; the front end appends the caller's address."""
    instance = start("plain.py:hello")

    answer = instance.request(
        "/?q=1", method="POST", headers={"X-Forwarded-For": "9.9.9.9"}, body=b"text"
    ).json()

    assert answer["method"] == "POST"
    assert answer["params"] == {"q": "1"}
    assert answer["body"] == "text"
    assert answer["url"].endswith("/api/hello?q=1")
    assert answer["forwarded"].startswith("9.9.9.9, 127.0.0.1:")


def test_the_context_is_the_workers(start):
    """A function that declares ``context`` receives that of the invocation."""
    instance = start("plain.py:hello_async")

    first, second = instance.request().json(), instance.request().json()

    assert str(APPS) == first["directory"]
    assert first["function"] == "hello_async"
    assert first["invocation"] != second["invocation"]


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/api/items/7", {"id": "7"}),
        ("/api/items/7/red", {"id": "7", "tag": "red"}),
        ("/API/Items/7/red/", {"id": "7", "tag": "red"}),
    ],
)
def test_route_parameters_reach_the_function(start, path, expected):
    """Routes match as in ASP.NET: with optional parameters, ignoring case."""
    instance = start("plain.py:item")

    assert expected == instance.request(path).json()["route_params"]


@pytest.mark.parametrize(
    ("path", "method"),
    [("/api/nothing", "GET"), ("/api/items/7/red/more", "GET"), ("/api/hello", "PUT")],
)
def test_what_no_route_matches_is_not_found(start, path, method):
    """A path or method without a route invokes nothing."""
    instance = start("plain.py:hello")

    assert instance.request(path, method=method).status == 404


def test_what_functions_return_becomes_the_answer(start):
    """Text, cookies and exceptions are returned; None is an error, as in the worker."""
    instance = start("plain.py:files")

    text = instance.request("/api/files/a/b")
    silent = instance.request("/api/silent")
    cookie = instance.request("/api/cookie")
    broken = instance.request("/api/broken")

    assert (text.status, text.body) == (200, "a/b")
    assert (silent.status, silent.body.startswith("TypeError: ")) == (500, True)
    assert (cookie.status, cookie.body) == (200, "a cookie")
    assert (broken.status, broken.body) == (500, "LookupError: no such thing")
    assert "nothing to say" in instance.output
    assert "raise LookupError(message)" in instance.output


def test_invocations_run_concurrently(start):
    """A coroutine can wait for another invocation, which runs meanwhile."""
    instance = start("plain.py:meet")

    with concurrent.futures.ThreadPoolExecutor() as callers:
        paths = ["/api/meet", "/api/meet?second=1"]
        answers = list(callers.map(instance.request, paths))

    assert [answer.body for answer in answers] == ["met", "met"]


def test_other_triggers_are_run_by_name(start):
    """``invoke`` converts the trigger's data and returns the outputs."""
    instance = start("plain.py:queue")

    answer = instance.invoke(
        "queue", "a message", metadata={"DequeueCount": 3}, inputs={"blob": "a blob"}
    )

    expected = {"result": None, "outputs": {"answer": "a message 3 a blob"}}
    assert expected == answer.json()


def test_a_target_without_a_route_cannot_be_requested(start):
    """``request`` to a queue's function says to use ``invoke``."""
    instance = start("plain.py:queue")

    with pytest.raises(EmulatorError, match=r"queue has no HTTP trigger.*invoke"):
        instance.request()


def test_the_runtime_names_its_versions(start):
    """``runtime`` has the library; before Python 3.13 it says there is no worker."""
    if sys.version_info >= (3, 13):
        library = f"azure-functions-runtime {version('azure-functions-runtime')}"
    else:
        library = f"azure-functions {version('azure-functions')} (no worker)"

    instance = start("plain.py:hello")

    assert f"{library}, Python {platform.python_version()}" == instance.runtime


def test_the_environment_is_azures(start, monkeypatch):
    """Other platforms' variables are removed, and ``environ`` takes precedence."""
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", "other-cloud")
    monkeypatch.setenv("WEBSITE_AUTH_ENABLED", "true")
    instance = start("plain.py:environ", {"WEBSITE_SITE_NAME": "my-app"})

    environ = instance.request().json()["environ"]

    assert environ["FUNCTIONS_WORKER_RUNTIME"] == "python"
    assert environ["WEBSITE_SITE_NAME"] == "my-app"
    assert not {"AWS_LAMBDA_FUNCTION_NAME", "WEBSITE_AUTH_ENABLED"} & environ.keys()


def test_sigterm_ends_the_worker_by_the_signal(start):
    """The worker has no signal handler, so SIGTERM ends it: exit code 143."""
    instance = start("plain.py:hello")
    instance.request()

    end = instance.terminate()

    assert (end.code, end.killed) == (-15, False)


def test_a_handler_of_the_application_runs(start):
    """The application's signal handler runs on the worker's main thread."""
    instance = start("plain.py:leave")
    instance.request()

    assert instance.terminate().code == 3


APP = "import azure.functions as func\napp = func.FunctionApp()\n"


@pytest.mark.parametrize(
    ("source", "complaint"),
    [
        ("import no_such_module", "no_such_module"),
        ("", "function app"),
        (f"{APP}@app.route()\ndef handler(req, other): ...", "declared in Python"),
        (f"{APP}@app.route()\ndef handler(req) -> int: ...", "annotation"),
        (f"{APP}@app.route()\ndef handler(req: func.QueueMessage): ...", "annotation"),
        (f"{APP}@app.route()\ndef other(req): ...", "no function 'handler'"),
    ],
)
def test_what_cannot_be_indexed_does_not_start(tmp_path, source, complaint):
    """If the app cannot be indexed, the error shows the worker's report."""
    script = tmp_path / "function_app.py"
    script.write_text(source)

    with (
        pytest.raises(EmulatorError, match=complaint),
        AzureFunctionsEmulator(f"{script}:handler"),
    ):
        pass


def test_an_instance_that_has_ended_does_not_answer(start):
    """A request to an instance that has ended raises an error."""
    instance = start("plain.py:hello")
    instance.terminate()

    with pytest.raises(EmulatorError, match="does not answer"):
        instance.request()


def test_an_instance_that_was_not_started_has_no_runtime():
    """Reading ``runtime`` before ``start`` is an error."""
    instance = AzureFunctionsEmulator(f"{APPS}/plain.py:hello")

    with contextlib.closing(instance), pytest.raises(EmulatorError, match="call start"):
        _ = instance.runtime


def test_an_option_that_is_not_a_boolean_is_refused():
    """An option must be ``true`` or ``false``."""
    with pytest.raises(EmulatorError, match="'yes', neither true nor false"):
        AzureFunctionsEmulator(f"{APPS}/plain.py:hello", placeholder="yes")


def test_a_missing_library_names_the_cure(monkeypatch):
    """Without azure-functions, the worker exits and says how to install it."""

    def create_worker():
        raise PackageNotFoundError("azure-functions")

    monkeypatch.setattr(worker_program, "create_worker", create_worker)

    with pytest.raises(SystemExit, match=r"pip install '.*\[emulator\]'"):
        worker_program.find_worker()


def test_host_json_changes_the_routes(tmp_path):
    """With an empty ``routePrefix`` a catch-all route matches the root."""
    (tmp_path / "host.json").write_text('{"extensions":{"http":{"routePrefix":""}}}')
    script = tmp_path / "function_app.py"
    script.write_text(
        "import azure.functions as func\n"
        "app = func.FunctionApp()\n"
        '@app.route(route="{*path}")\n'
        "def handler(req: func.HttpRequest) -> str:\n"
        '    return "path: " + req.route_params.get("path", "")\n'
    )

    with AzureFunctionsEmulator(f"{script}:handler") as instance:
        bodies = [instance.request(path).body for path in ("/", "/a/b")]

    assert bodies == ["path: ", "path: a/b"]
