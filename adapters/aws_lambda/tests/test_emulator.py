"""Plain functions under the real awslambdaric: results, errors, options."""

from __future__ import annotations

import re
import sys
import threading
from contextlib import closing

import pytest

from serverless_flags import EmulatorError
from serverless_flags_aws_lambda import emulate
from serverless_flags_aws_lambda._emulator.emulator import AwsLambdaEmulator
from serverless_flags_aws_lambda._emulator.environment import find_runtime

WAIT = 10.0
"""Seconds after which a test fails instead of hanging."""


def test_result(write_function):
    """Init imports the module; then one instance returns a result for each event."""
    target = write_function(
        """
        import os
        print("imported", flush=True)

        def handler(event, context):
            return [event, context.function_name, os.getpid()]
        """
    )
    with AwsLambdaEmulator(target) as instance:
        printed = instance.output
        first, second = instance.invoke({"a": 1}), instance.invoke("text")

        assert printed == "imported\n"
        assert first.status == 200
        assert first.json() == [{"a": 1}, "function", instance.process.pid]
        assert second.json() == ["text", "function", instance.process.pid]
        assert instance.cold_start > instance.init_duration > 0


def test_error_of_the_function(write_function):
    """An exception becomes AWS's error document, and the instance serves on."""
    target = write_function(
        """
        def handler(event, context):
            if event:
                raise LookupError("no")
        """
    )
    with AwsLambdaEmulator(target) as instance:
        failed, url, good = instance.invoke(1), instance.request(), instance.invoke(0)

        assert (failed.status, url.status, good.status) == (500, 502, 200)
        assert failed.json()["errorType"] == url.json()["errorType"] == "LookupError"
        assert failed.json()["errorMessage"] == "no"


def test_function_url(write_function):
    """A request becomes an event of payload 2.0, and a result may be a response."""
    target = write_function(
        """
        import json

        def handler(event, context):
            return {"statusCode": 201, "body": json.dumps(event)}
        """
    )
    with AwsLambdaEmulator(target) as instance:
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
    with AwsLambdaEmulator(target) as instance:
        first, crashed, second = (instance.invoke(code) for code in (0, 3, 0))

        assert crashed.json() == {
            "errorType": "Runtime.ExitError",
            "errorMessage": "Runtime exited with code 3",
        }
        assert first.json() != second.json()


def test_failing_import(write_function):
    """If the module cannot be imported, Init fails with the runtime's message."""
    target = write_function("raise LookupError('no such thing')")

    with (
        pytest.raises(EmulatorError, match=r"Init failed: .*no such thing"),
        AwsLambdaEmulator(target),
    ):
        pass


def test_instances_leave_no_thread(write_function):
    """The threads of the API server end with the instance."""
    target = write_function("def handler(event, context): pass")
    before = threading.active_count()
    with AwsLambdaEmulator(target) as instance:
        instance.invoke()
        state = instance.state

    assert state.wait(lambda: threading.active_count() <= before, WAIT)


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
    """The error for an invalid option lists the valid ones."""
    target = write_function("")

    with pytest.raises(EmulatorError, match=expected):
        AwsLambdaEmulator(target, **options)


def test_interpreter_without_runtime(write_function, tmp_path):
    """Without awslambdaric, the error says how to install it."""
    with (
        pytest.raises(EmulatorError, match=r"serverless-flags-aws-lambda\[emulator\]"),
        AwsLambdaEmulator(write_function(""), python=str(tmp_path / "python")),
    ):
        pass


def test_other_systems(write_function, monkeypatch):
    """On systems without a wheel of awslambdaric, the error names an alternative."""
    monkeypatch.setattr(sys, "platform", "darwin")
    find_runtime.cache_clear()

    with (
        pytest.raises(EmulatorError, match="container"),
        AwsLambdaEmulator(write_function("")),
    ):
        pass


def test_not_started(write_function):
    """Reading the state before ``start`` is an error."""
    instance = AwsLambdaEmulator(write_function(""))

    with closing(instance), pytest.raises(EmulatorError, match=r"call start\(\) first"):
        instance.state  # noqa: B018  reason: reading it is what raises


def test_emulate(write_function):
    """``emulate`` returns an emulator, with its options, for this platform only."""
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
