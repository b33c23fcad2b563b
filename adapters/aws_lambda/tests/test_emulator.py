"""Plain functions under the real awslambdaric: results, errors, options."""

from __future__ import annotations

import re
import sys
import threading
from contextlib import closing

import pytest

from serverless_flags import EmulatorError
from serverless_flags_aws_lambda import _environment, emulate
from serverless_flags_aws_lambda._emulator import LambdaEmulator

WAIT = 10.0
"""Seconds; a bound against hanging only."""


def test_result(write_function):
    """An event goes in, the result comes out, in one instance; Init came before."""
    target = write_function(
        """
        import os
        print("imported", flush=True)

        def handler(event, context):
            return [event, context.function_name, os.getpid()]
        """
    )
    with LambdaEmulator(target) as instance:
        printed = instance.output
        first, second = instance.invoke({"a": 1}), instance.invoke("text")

        assert printed == "imported\n"
        assert first.status == 200
        assert first.json() == [{"a": 1}, "function", instance.process.pid]
        assert second.json() == ["text", "function", instance.process.pid]
        assert instance.cold_start > instance.init_duration > 0


def test_error_of_the_function(write_function):
    """An exception is AWS's error document, and the instance lives on."""
    target = write_function(
        """
        def handler(event, context):
            if event:
                raise LookupError("no")
        """
    )
    with LambdaEmulator(target) as instance:
        failed, url, good = instance.invoke(1), instance.request(), instance.invoke(0)

        assert (failed.status, url.status, good.status) == (500, 502, 200)
        assert failed.json()["errorType"] == url.json()["errorType"] == "LookupError"
        assert failed.json()["errorMessage"] == "no"


def test_function_url(write_function):
    """A request is the event of payload 2.0, and a result may be a response."""
    target = write_function(
        """
        import json

        def handler(event, context):
            return {"statusCode": 201, "body": json.dumps(event)}
        """
    )
    with LambdaEmulator(target) as instance:
        answer = instance.request(
            "/a/b?c=1&c=2", method="POST", headers={"X-Name": "v"}, body=b"text"
        )
        event = answer.json()

        assert answer.status == 201
        assert event["version"] == "2.0"
        assert (event["rawPath"], event["rawQueryString"]) == ("/a/b", "c=1&c=2")
        assert event["queryStringParameters"] == {"c": "1,2"}
        assert event["headers"]["x-name"] == "v"
        assert (event["body"], event["isBase64Encoded"]) == ("text", False)
        assert event["requestContext"]["http"]["method"] == "POST"


def test_crash(write_function):
    """A process that exits fails its invocation; the next one starts a new process."""
    target = write_function(
        """
        import os

        def handler(event, context):
            return os._exit(event) if event else os.getpid()
        """
    )
    with LambdaEmulator(target) as instance:
        first, crashed, second = (instance.invoke(code) for code in (0, 3, 0))

        assert crashed.json() == {
            "errorType": "Runtime.ExitError",
            "errorMessage": "Runtime exited with code 3",
        }
        assert first.json() != second.json()


def test_failing_import(write_function):
    """A module that cannot be imported fails Init with the runtime's own words."""
    target = write_function("raise LookupError('no such thing')")

    with (
        pytest.raises(EmulatorError, match=r"Init failed: .*no such thing"),
        LambdaEmulator(target),
    ):
        pass


def test_instances_leave_no_thread(write_function):
    """The server's threads end with the instance."""
    target = write_function("def handler(event, context): pass")
    before = threading.active_count()
    with LambdaEmulator(target) as instance:
        instance.invoke()
        lifecycle = instance.lifecycle

    assert lifecycle.wait(lambda: threading.active_count() <= before, WAIT)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"mode": "other"}, "option mode: 'other' is none of"),
        ({"polling": "yes"}, "option polling: 'yes' is none of"),
        ({"grace": "short"}, "option grace: 'short' is not a number"),
        ({"server": "gunicorn"}, "unknown option 'server'; there are mode, polling"),
    ],
)
def test_options(write_function, options, expected):
    """An option that cannot be meant is named, with what is possible."""
    target = write_function("")

    with pytest.raises(EmulatorError, match=expected):
        LambdaEmulator(target, **options)


def test_interpreter_without_runtime(write_function, tmp_path):
    """The message says how to install what is missing."""
    with (
        pytest.raises(EmulatorError, match=r"serverless-flags-aws-lambda\[emulator\]"),
        LambdaEmulator(write_function(""), python=str(tmp_path / "python")),
    ):
        pass


def test_other_systems(write_function, monkeypatch):
    """Where awslambdaric has no wheel, the message names what to use."""
    monkeypatch.setattr(sys, "platform", "darwin")
    _environment.find_runtime.cache_clear()

    with (
        pytest.raises(EmulatorError, match="container"),
        LambdaEmulator(write_function("")),
    ):
        pass


def test_not_started(write_function):
    """Before the start there is nothing to look at."""
    instance = LambdaEmulator(write_function(""))

    with closing(instance), pytest.raises(EmulatorError, match=r"call start\(\) first"):
        instance.lifecycle  # noqa: B018  reason: reading it is what raises


def test_emulate(write_function):
    """The hook answers for this platform only, with the options it was given."""
    target = write_function("def handler(event, context): pass")
    arguments = {"target": target, "environ": {"A": "1"}, "python": sys.executable}
    instance = emulate("aws_lambda", options={"grace": "0.3"}, **arguments)

    assert instance is not None
    with closing(instance):
        assert (instance.shutdown_grace, instance.environ) == (0.3, {"A": "1"})
        assert re.fullmatch(
            r"awslambdaric [\d.]+, Python 3\.\d+\.\S+", instance.runtime
        )
    assert emulate("azure_functions", options={}, **arguments) is None
