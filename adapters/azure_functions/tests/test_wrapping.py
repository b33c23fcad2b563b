"""The worker indexes and calls wrapped functions like any others."""

from __future__ import annotations

import inspect
import typing
from pathlib import Path

import azure.functions as func
import pytest

from serverless_flags import FlagSession

APPS = Path(__file__).parent / "apps"


@pytest.fixture(name="flags")
def _flags(monkeypatch) -> FlagSession:
    """Return a session that detects Azure Functions."""
    monkeypatch.setenv("FUNCTIONS_WORKER_RUNTIME", "python")
    return FlagSession()


def test_the_context_names_the_users_directory(start, flag_server):
    """``context.function_directory`` is the directory of your function."""
    instance = start("wrapped.py:context_of", flag_server.environ)

    answer = instance.request("/api/context").json()

    expected = {"directory": str(APPS), "function": "context_of", "enabled": True}
    assert expected == answer


@pytest.mark.parametrize(
    ("path", "expected"),
    [("greeting", "True"), ("method", "method True")],
)
def test_functions_of_blueprints_and_methods_can_be_wrapped(
    start, flag_server, path, expected
):
    """The worker indexes wrapped functions of blueprints and wrapped methods."""
    instance = start("wrapped.py:context_of", flag_server.environ)

    answer = instance.request(f"/api/{path}")

    assert (200, expected) == (answer.status, answer.body)


@pytest.mark.parametrize("kind", ["asgi", "wsgi"])
def test_a_web_application_can_be_wrapped(start, flag_server, kind):
    """An ASGI or WSGI application, for which azure-functions makes the function."""
    instance = start(f"{kind}.py:http_app_func", flag_server.environ)

    answers = [instance.request("/api/any/path") for _ in range(2)]

    instance.terminate()
    assert [(answer.status, answer.body) for answer in answers] == [(200, "True")] * 2
    assert flag_server.counts("simpleFlag").total == 2


@pytest.mark.parametrize("path", ["object", "partial"])
def test_objects_can_be_wrapped(start, flag_server, path):
    """A wrapped object can be a function, though Azure accepts none unwrapped."""
    instance = start("wrapped.py:context_of", flag_server.environ)

    answer = instance.request(f"/api/{path}")

    assert (200, f"object {APPS} True") == (answer.status, answer.body)


def test_output_bindings_get_what_the_function_sets(start, flag_server):
    """Output parameters and ``$return`` work through the wrapper."""
    instance = start("wrapped.py:output", flag_server.environ)

    assert instance.request().body == "done"
    expected = {"result": "a message True", "outputs": {}}
    assert expected == instance.invoke("returned", "a message").json()


@pytest.mark.parametrize(
    ("path", "expected"),
    [("raising", "the function's own"), ("raising_async", "the coroutine's own")],
)
def test_the_functions_own_exception_reaches_the_worker(
    start, flag_server, path, expected
):
    """The exception is unchanged, and its traceback names the wrapper correctly."""
    instance = start(f"wrapped.py:{path}", flag_server.environ)

    answer = instance.request()

    instance.terminate()
    assert (500, f"LookupError: {expected}") == (answer.status, answer.body)
    assert flag_server.counts("simpleFlag").total == 1
    assert f'File "{APPS}/<serverless_flags>", line ' in instance.output


@pytest.mark.parametrize("kind", [func.FunctionApp, func.Blueprint])
@pytest.mark.parametrize(
    ("decorator", "arguments"),
    [
        ("route", {}),
        ("function_name", {"name": "hello"}),
        ("timer_trigger", {"arg_name": "t", "schedule": "0 * * * * *"}),
        (
            "queue_output",
            {"arg_name": "out", "queue_name": "q", "connection": "Storage"},
        ),
    ],
)
def test_the_wrong_order_of_decorators_is_refused(flags, kind, decorator, arguments):
    """Above a decorator of the app, ``wrap`` raises an error that shows the order."""
    decorate = getattr(kind(), decorator)(**arguments)

    @decorate
    def hello(req: func.HttpRequest) -> str: ...

    cure = r"(?s)never call.*@app\.route.*\n.*@flags\.wrap\n.*def hello"
    with pytest.raises(TypeError, match=cure):
        flags.wrap(hello)


def test_an_app_cannot_be_wrapped(flags):
    """A function app is no callable, and ``wrap`` says so."""
    with pytest.raises(TypeError, match="callable, not FunctionApp"):
        flags.wrap(func.FunctionApp())


def test_signature_annotations_and_kind_are_kept(flags):
    """The wrapper keeps the signature, the annotations, the directory and the kind."""

    def hello(req: func.HttpRequest, context: func.Context) -> str: ...

    async def hello_async(req: func.HttpRequest) -> str: ...

    for function in (hello, hello_async):
        wrapped = flags.wrap(function)

        assert inspect.signature(function) == inspect.signature(wrapped)
        assert typing.get_type_hints(function) == typing.get_type_hints(wrapped)
        assert Path(inspect.getfile(wrapped)).parent == Path(__file__).parent
        expected = inspect.iscoroutinefunction(function)
        assert expected == inspect.iscoroutinefunction(wrapped)


def test_each_wrapper_has_its_own_directory(flags, tmp_path):
    """Each wrapper has the directory of its own function."""
    scope: dict[str, typing.Any] = {}
    exec(compile("def other(req): ...", f"{tmp_path}/other.py", "exec"), scope)

    def hello(req): ...

    first, second = flags.wrap(hello), flags.wrap(scope["other"])

    assert Path(__file__).parent == Path(inspect.getfile(first)).parent
    assert tmp_path == Path(inspect.getfile(second)).parent
