"""The phases of an emulated instance: Init, Invoke, timeout, freeze, Shutdown."""

from __future__ import annotations

import pytest

from serverless_flags import EmulatorError
from serverless_flags_aws_lambda._emulator.emulator import AwsLambdaEmulator

WAIT = 10.0
"""Seconds after which a test fails instead of hanging."""

UNREGISTERED = """
import plain_extension

def handler(event, context):
    pass
"""
"""It would print a message at SIGTERM, but registers no extension."""

REGISTERED = """
from plain_extension import register, send_next

kept = send_next(register([])[0])

def handler(event, context):
    pass
"""


def test_frozen_when_idle(write_function, is_frozen):
    """The instance is stopped after Init and after each invocation."""
    target = write_function(
        """
        def handler(event, context):
            return "ran"
        """
    )
    with AwsLambdaEmulator(target) as instance:
        state = instance.state
        after_init = state.wait(lambda: is_frozen(instance), WAIT)
        answer = instance.invoke()
        after_invocation = state.wait(lambda: is_frozen(instance), WAIT)

        assert after_init
        assert answer.json() == "ran"
        assert after_invocation


# -- shutdown ----------------------------------------------------------------------


def test_end_without_extension(write_function):
    """Without an extension the instance is killed without SIGTERM."""
    with AwsLambdaEmulator(write_function(UNREGISTERED)) as instance:
        instance.invoke()
        ended = instance.terminate()

        assert (ended.killed, ended.code) == (True, -9)
        assert instance.output == ""


def test_end_with_extension(write_function, polling):
    """With an extension, even one without events, the instance gets SIGTERM."""
    target = write_function(REGISTERED)
    with AwsLambdaEmulator(target, polling=polling, grace=str(WAIT)) as instance:
        instance.invoke()
        ended = instance.terminate()

        assert (ended.killed, ended.code) == (False, 0)
        assert instance.output == "got SIGTERM\n"


@pytest.mark.parametrize(("polling", "runs"), [("true", True), ("false", False)])
def test_handler_in_python(write_function, polling, *, runs):
    """Without polling, no Python signal handler runs while the instance is idle."""
    target = write_function(
        """
        import os
        import signal
        from plain_extension import register, send_next

        kept = send_next(register([])[0])
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGTERM, lambda signum, frame: os._exit(7))

        def handler(event, context):
            pass
        """
    )
    grace = str(WAIT) if runs else "0.2"
    with AwsLambdaEmulator(target, polling=polling, grace=grace) as instance:
        instance.invoke()
        ended = instance.terminate()

        assert (ended.killed, ended.code) == ((False, 7) if runs else (True, -9))


def test_invocation_after_the_end(write_function):
    """An invocation after the shutdown is a cold start."""
    target = write_function(
        """
        import os

        def handler(event, context):
            return os.getpid()
        """
    )
    with AwsLambdaEmulator(target) as instance:
        first = instance.invoke()
        instance.terminate()
        second = instance.invoke()

        assert first.json() != second.json()


def test_an_ending_instance_is_not_frozen(write_function, is_frozen):
    """A response after SIGTERM does not freeze the instance."""
    target = write_function(
        """
        import signal

        signal.signal(signal.SIGTERM, signal.SIG_IGN)

        def handler(event, context):
            return "answered"
        """
    )
    with AwsLambdaEmulator(target) as instance:
        state = instance.state
        idle = state.wait(lambda: is_frozen(instance), WAIT)
        instance._send_sigterm()
        answer = instance.invoke()
        state.wait(lambda: state.idle, WAIT)

        assert (True, "answered") == (idle, answer.json())
        assert not is_frozen(instance)


# -- the function timeout ------------------------------------------------------------


def test_timeout(write_function, polling):
    """At a function timeout the instance gets SIGTERM, and a new one follows."""
    target = write_function(
        """
        import os
        import time
        from plain_extension import register, send_next

        kept = send_next(register([])[0])

        def handler(event, context):
            while event:
                time.sleep(0.01)
            return os.getpid()
        """
    )
    with AwsLambdaEmulator(target, polling=polling, grace=str(WAIT)) as instance:
        first = instance.invoke(0)
        late = instance.invoke(1, timeout=0.2)
        second = instance.invoke(0)

        assert late.status == 500
        assert late.json()["errorType"] == "Sandbox.Timedout"
        assert instance.output == "got SIGTERM\n"
        assert first.json() != second.json()


def test_timeout_without_extension(write_function):
    """Without an extension the instance is killed at the timeout."""
    target = write_function(
        """
        import time
        import plain_extension

        def handler(event, context):
            time.sleep(event)
        """
    )
    with AwsLambdaEmulator(target) as instance:
        late = instance.invoke(30, timeout=0.2)

        assert late.json()["errorType"] == "Sandbox.Timedout"
        assert instance.process.returncode == -9
        assert instance.output == ""


# -- extensions ----------------------------------------------------------------------


def test_extension_that_never_calls_next(write_function):
    """Init hangs if a registered extension never calls next."""
    target = write_function(
        """
        from plain_extension import register

        register([])

        def handler(event, context):
            pass
        """
    )

    with (
        pytest.raises(EmulatorError, match="extension plain never called next"),
        AwsLambdaEmulator(target, init_timeout="5"),
    ):
        pass


def test_refused_registration(write_function):
    """SHUTDOWN events, and registrations after Init, are refused."""
    target = write_function(
        """
        from plain_extension import register

        refusal = register(["SHUTDOWN"])[1]["errorType"]

        def handler(event, context):
            return [refusal, register([])[1]["errorType"]]
        """
    )
    with AwsLambdaEmulator(target) as instance:
        refusals = instance.invoke().json()

        assert refusals == [
            "Extension.InvalidEventType",
            "Extension.RegistrationClosed",
        ]


def test_work_after_the_response(write_function):
    """The response precedes an INVOKE extension's work, the next event follows it."""
    target = write_function(
        """
        import threading
        import time
        from plain_extension import register, send_next

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
    with AwsLambdaEmulator(target) as instance:
        first, second = instance.invoke(), instance.invoke()

        assert first.json() == ["handler"]
        assert second.json() == ["handler", "extension", "handler"]


def test_dead_invoke_extension(write_function):
    """If an INVOKE extension stops calling next, every invocation times out."""
    target = write_function(
        """
        import os
        from plain_extension import register, send_next

        kept = send_next(register(["INVOKE"])[0])

        def handler(event, context):
            return os.getpid()
        """
    )
    with AwsLambdaEmulator(target, timeout="0.3", grace=str(WAIT)) as instance:
        first, second = instance.invoke(), instance.invoke()

        assert (first.status, second.status) == (200, 200)
        assert first.json() != second.json()
        assert instance.output == "got SIGTERM\n"
