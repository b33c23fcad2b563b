"""The emulator's rules, with plain functions under the real awslambdaric."""

from __future__ import annotations

import re
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from serverless_flags import EmulatorError
from serverless_flags_aws_lambda import _environment, emulate
from serverless_flags_aws_lambda._emulator import LambdaEmulator

if TYPE_CHECKING:
    from collections.abc import Callable

    WriteFunction = Callable[[str], str]

WAIT = 10.0
"""Seconds; a bound against hanging only."""

EXTENSION = """
import http.client, json, os, signal, socket, threading, time

API = os.environ["AWS_LAMBDA_RUNTIME_API"]

def register(events):
    connection = http.client.HTTPConnection(API)
    connection.request("POST", "/2020-01-01/extension/register",
        json.dumps({"events": events}), {"Lambda-Extension-Name": "plain"})
    answer = connection.getresponse()
    content = json.loads(answer.read())
    connection.close()
    return answer.headers["Lambda-Extension-Identifier"], content

def send_next(identifier):
    connection = http.client.HTTPConnection(API)
    connection.request("GET", "/2020-01-01/extension/event/next",
        headers={"Lambda-Extension-Identifier": identifier})
    return connection

def listen():
    receiver.recv(1)
    os.write(1, b"told\\n")
    os._exit(0)

receiver, sender = socket.socketpair()
sender.setblocking(False)
signal.set_wakeup_fd(sender.fileno())  # works while the main thread is in C, too
signal.signal(signal.SIGTERM, lambda signum, frame: None)
threading.Thread(target=listen, daemon=True).start()
"""
"""Source that the functions with an extension begin with."""

REGISTERED = EXTENSION + "kept = send_next(register([])[0])\n"


def is_frozen(instance: LambdaEmulator) -> bool:
    """Tell whether the instance's process is stopped."""
    stat = Path(f"/proc/{instance.process.pid}/stat").read_text()
    return stat.rpartition(")")[2].split()[0] == "T"


def test_result(write_function: WriteFunction) -> None:
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


def test_error_of_the_function(write_function: WriteFunction) -> None:
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


def test_function_url(write_function: WriteFunction) -> None:
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


def test_crash(write_function: WriteFunction) -> None:
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


@pytest.mark.parametrize("polling", ["true", "false"])
def test_timeout(write_function: WriteFunction, polling: str) -> None:
    """A function timeout is a shutdown: SIGTERM in mid-handler, then a new process."""
    target = write_function(
        REGISTERED
        + """
def handler(event, context):
    while event:
        time.sleep(0.01)
    return os.getpid()
"""
    )
    with LambdaEmulator(target, polling=polling, grace=str(WAIT)) as instance:
        first = instance.invoke(0)
        late = instance.invoke(1, timeout=0.2)
        second = instance.invoke(0)

        assert late.status == 500
        assert late.json()["errorType"] == "Sandbox.Timedout"
        assert instance.output == "told\n"
        assert first.json() != second.json()


def test_timeout_without_extension(write_function: WriteFunction) -> None:
    """Without an extension the timeout kills at once."""
    target = write_function(
        EXTENSION
        + """
def handler(event, context):
    time.sleep(event)
"""
    )
    with LambdaEmulator(target) as instance:
        late = instance.invoke(30, timeout=0.2)

        assert late.json()["errorType"] == "Sandbox.Timedout"
        assert instance.process.returncode == -9
        assert instance.output == ""


def test_frozen_when_idle(write_function: WriteFunction) -> None:
    """The instance is stopped after Init and after each invocation."""
    target = write_function(
        """
        def handler(event, context):
            return "ran"
        """
    )
    with LambdaEmulator(target) as instance:
        lifecycle = instance.lifecycle
        after_init = lifecycle.wait(lambda: is_frozen(instance), WAIT)
        answer = instance.invoke()
        after_invocation = lifecycle.wait(lambda: is_frozen(instance), WAIT)

        assert after_init
        assert answer.json() == "ran"
        assert after_invocation


def test_end_without_extension(write_function: WriteFunction) -> None:
    """Without an extension the instance is killed and hears nothing."""
    target = write_function(EXTENSION + "def handler(event, context): pass\n")
    with LambdaEmulator(target) as instance:
        instance.invoke()
        ended = instance.terminate()

        assert ended.killed
        assert ended.code == -9
        assert instance.output == ""


@pytest.mark.parametrize("polling", ["true", "false"])
def test_end_with_extension(write_function: WriteFunction, polling: str) -> None:
    """With an extension, even one without events, the instance hears SIGTERM."""
    target = write_function(REGISTERED + "def handler(event, context): pass\n")
    with LambdaEmulator(target, polling=polling, grace=str(WAIT)) as instance:
        instance.invoke()
        ended = instance.terminate()

        assert not ended.killed
        assert ended.code == 0
        assert instance.output == "told\n"


@pytest.mark.parametrize(("polling", "runs"), [("true", True), ("false", False)])
def test_handler_in_python(
    write_function: WriteFunction, polling: str, *, runs: bool
) -> None:
    """Without polling no Python handler runs while idle, until the grace is over."""
    target = write_function(
        REGISTERED
        + """
signal.set_wakeup_fd(-1)
signal.signal(signal.SIGTERM, lambda signum, frame: os._exit(7))
def handler(event, context): pass
"""
    )
    grace = str(WAIT) if runs else "0.2"
    with LambdaEmulator(target, polling=polling, grace=grace) as instance:
        instance.invoke()
        ended = instance.terminate()

        assert ended.killed is not runs
        assert ended.code == (7 if runs else -9)


def test_invocation_after_the_end(write_function: WriteFunction) -> None:
    """An invocation after the shutdown is a cold start."""
    target = write_function(
        "import os\ndef handler(event, context): return os.getpid()"
    )
    with LambdaEmulator(target) as instance:
        first = instance.invoke()
        instance.terminate()
        second = instance.invoke()

        assert first.json() != second.json()


def test_extension_that_never_calls_next(write_function: WriteFunction) -> None:
    """An extension that registered and never called next hangs Init."""
    target = write_function(
        EXTENSION + "register([])\ndef handler(event, context): pass\n"
    )

    with (
        pytest.raises(EmulatorError, match="extension plain never called next"),
        LambdaEmulator(target, init_timeout="0.5"),
    ):
        pass


def test_shutdown_event_is_refused(write_function: WriteFunction) -> None:
    """An internal extension that wants SHUTDOWN is refused, and not registered."""
    target = write_function(
        EXTENSION
        + """
refusal = register(["SHUTDOWN"])[1]["errorType"]
def handler(event, context):
    return refusal
"""
    )
    with LambdaEmulator(target) as instance:
        assert instance.invoke().json() == "Extension.InvalidEventType"


def test_registration_is_closed_after_init(write_function: WriteFunction) -> None:
    """Who registers during an invocation comes too late."""
    target = write_function(
        EXTENSION
        + """
def handler(event, context):
    return register([])[1]["errorType"]
"""
    )
    with LambdaEmulator(target) as instance:
        assert instance.invoke().json() == "Extension.RegistrationClosed"


def test_work_after_the_response(write_function: WriteFunction) -> None:
    """The caller is answered while an INVOKE extension works; the next event waits."""
    target = write_function(
        EXTENSION
        + """
identifier = register(["INVOKE"])[0]
returned, log = threading.Event(), []

def work():
    while True:
        send_next(identifier).getresponse().read()
        returned.wait()
        returned.clear()
        time.sleep(0.05)
        log.append("extension")

threading.Thread(target=work, daemon=True).start()

def handler(event, context):
    log.append("handler")
    returned.set()
    return list(log)
"""
    )
    with LambdaEmulator(target) as instance:
        first, second = instance.invoke(), instance.invoke()

        assert first.json() == ["handler"]
        assert second.json() == ["handler", "extension", "handler"]


def test_dead_invoke_extension(write_function: WriteFunction) -> None:
    """An INVOKE extension that stops asking costs every invocation its timeout."""
    target = write_function(
        EXTENSION
        + """
kept = send_next(register(["INVOKE"])[0])
def handler(event, context):
    return os.getpid()
"""
    )
    with LambdaEmulator(target, timeout="0.3", grace=str(WAIT)) as instance:
        first, second = instance.invoke(), instance.invoke()

        assert (first.status, second.status) == (200, 200)
        assert first.json() != second.json()
        assert instance.output == "told\n"


def test_failing_import(write_function: WriteFunction) -> None:
    """A module that cannot be imported fails Init with the runtime's own words."""
    target = write_function("raise LookupError('no such thing')")

    with (
        pytest.raises(EmulatorError, match=r"Init failed: .*no such thing"),
        LambdaEmulator(target),
    ):
        pass


SNAPSHOT = """
import snapshot_restore_py as snapshot
log = ["import"]
def handler(event, context):
    return log
def before(): log.append("before")
def after(): log.append("after")
def fail(): raise LookupError("no")
"""


def test_snap_start(write_function: WriteFunction) -> None:
    """The hooks run around the snapshot, before the first event."""
    target = write_function(
        SNAPSHOT
        + "snapshot.register_before_snapshot(before)\n"
        + "snapshot.register_after_restore(after)\n"
    )
    with LambdaEmulator(target, mode="snap-start") as instance:
        assert instance.invoke().json() == ["import", "before", "after"]


@pytest.mark.parametrize(
    ("moment", "expected"),
    [
        ("before_snapshot", r"Init failed: .*LookupError.* \(exit code 64\)"),
        ("after_restore", r"restore failed: .*LookupError.* \(exit code 65\)"),
    ],
)
def test_failing_snap_start_hook(
    write_function: WriteFunction, moment: str, expected: str
) -> None:
    """A hook that raises ends the instance with a code of its own."""
    target = write_function(SNAPSHOT + f"snapshot.register_{moment}(fail)\n")

    with (
        pytest.raises(EmulatorError, match=expected),
        LambdaEmulator(target, mode="snap-start", grace=str(WAIT)),
    ):
        pass


def test_managed_instance(write_function: WriteFunction, tmp_path: Path) -> None:
    """Workers handle events side by side, unfrozen; one extension tells them all."""
    target = write_function(
        EXTENSION
        + f"""
identifier, content = register([])
kept = send_next(identifier) if identifier else None

def handler(event, context):
    arrived = {str(tmp_path)!r} + "/arrived-%s"
    open(arrived % event, "w").close()
    while not os.path.exists(arrived % (1 - event)):
        time.sleep(0.01)
    return [os.getpid(), content.get("errorType")]
"""
    )
    options = {"mode": "managed-instances", "workers": "2"}
    with LambdaEmulator(target, grace=str(WAIT), **options) as instance:
        with ThreadPoolExecutor(2) as pool:
            answers = [each.json() for each in pool.map(instance.invoke, (0, 1))]
        frozen = is_frozen(instance)
        ended = instance.terminate()

        assert len({pid for pid, _ in answers}) == 2
        assert None in [error for _, error in answers]
        assert not frozen
        assert not ended.killed
        assert instance.output == "told\n" * 2


def test_managed_instance_without_extension(write_function: WriteFunction) -> None:
    """Without an extension the workers are killed together and hear nothing."""
    target = write_function(EXTENSION + "def handler(event, context): pass\n")
    with LambdaEmulator(target, mode="managed-instances") as instance:
        ended = instance.terminate()

        assert ended.killed
        assert instance.output == ""


def test_managed_instance_knows_no_timeout(write_function: WriteFunction) -> None:
    """Who waits for a worker too long gives up; the worker is left alone."""
    target = write_function(
        "import time\ndef handler(event, context): time.sleep(event)"
    )
    with LambdaEmulator(target, mode="managed-instances", workers="1") as instance:
        with pytest.raises(EmulatorError, match=r"no answer in 0\.2 s"):
            instance.invoke(30, timeout=0.2)

        assert instance.process.poll() is None


def test_instances_leave_no_thread(write_function: WriteFunction) -> None:
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
def test_options(
    write_function: WriteFunction, options: dict[str, str], expected: str
) -> None:
    """An option that cannot be meant is named, with what is possible."""
    target = write_function("")

    with pytest.raises(EmulatorError, match=expected):
        LambdaEmulator(target, **options)


def test_interpreter_without_runtime(
    write_function: WriteFunction, tmp_path: Path
) -> None:
    """The message says how to install what is missing."""
    with (
        pytest.raises(EmulatorError, match=r"serverless-flags-aws-lambda\[emulator\]"),
        LambdaEmulator(write_function(""), python=str(tmp_path / "python")),
    ):
        pass


def test_other_systems(
    write_function: WriteFunction, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where awslambdaric has no wheel, the message names what to use."""
    monkeypatch.setattr(sys, "platform", "darwin")
    _environment.find_runtime.cache_clear()

    with (
        pytest.raises(EmulatorError, match="container"),
        LambdaEmulator(write_function("")),
    ):
        pass


def test_not_started(write_function: WriteFunction) -> None:
    """Before the start there is nothing to look at."""
    instance = LambdaEmulator(write_function(""))

    with closing(instance), pytest.raises(EmulatorError, match=r"call start\(\) first"):
        instance.lifecycle  # noqa: B018  reason: reading it is what raises


def test_emulate(write_function: WriteFunction) -> None:
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
