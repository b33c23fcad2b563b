"""The emulator of AWS Lambda: awslambdaric, the runtime that Lambda itself uses."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from http import HTTPStatus
from typing import TYPE_CHECKING

from serverless_flags import EmulatorError
from serverless_flags.testing import Answer, Emulator, Exit
from serverless_flags_aws_lambda._emulator.environment import (
    Function,
    build_environ,
    find_runtime,
)
from serverless_flags_aws_lambda._emulator.function_url import build_event, read_result
from serverless_flags_aws_lambda._emulator.instance_state import Call, InstanceState
from serverless_flags_aws_lambda._emulator.options import read_options
from serverless_flags_aws_lambda._emulator.runtime_api_server import RuntimeApiServer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


class AwsLambdaEmulator(Emulator):
    """
    One execution environment, which is frozen and terminated as Lambda does it.

    Args:
        target: ``path/to/module.py:function``.
        environ: environment variables, in addition to Lambda's own.
        python: the interpreter that runs the instance.
        options: the fields of ``Options``, as text.
    """

    def __init__(
        self,
        target: str,
        *,
        environ: Mapping[str, str] | None = None,
        python: str = sys.executable,
        **options: str,
    ) -> None:
        self.options = read_options(options)
        super().__init__(target, environ=environ, python=python)
        self.shutdown_grace = self.options.grace
        self.init_duration = 0.0
        """Seconds that the last Init phase took, including a restore."""
        self.while_frozen: Callable[[], object] | None = None
        """In ``snap-start``, called between the snapshot and its restoration."""
        self._slots = threading.BoundedSemaphore(self.options.processes)
        self._api: RuntimeApiServer | None = None
        self._last_call: Call | None = None
        self._shutting_down = False

    @property
    def runtime(self) -> str:
        """The versions of awslambdaric and of the instance's Python."""
        ric, version = find_runtime(self.python)
        return f"awslambdaric {ric}, Python {version}"

    @property
    def state(self) -> InstanceState:
        """The instance's state. Raises EmulatorError before ``start``."""
        if self._api is None:
            message = "the instance is not running: call start() first"
            raise EmulatorError(message)
        return self._api.state

    @property
    def _has_ended(self) -> bool:
        return self._process is None or self._process.poll() is not None

    # -- Init ----------------------------------------------------------------------
    def start(self) -> None:
        """
        Run the Init phase and, in ``snap-start``, the restore.

        Raises:
            EmulatorError: when Init fails or does not end in time, or awslambdaric is
                not installed; the message shows the instance's output.
        """
        version = find_runtime(self.python)[1]
        self._release()
        self._shutting_down = False
        name = self.module_path.stem
        function = Function(
            self.environ.get("AWS_LAMBDA_FUNCTION_NAME", name),
            f"{name}.{self.function}",
        )
        state = InstanceState(
            workers=self.options.processes,
            managed=self.options.managed,
            on_idle=self._freeze_if_idle,
        )
        self._api = RuntimeApiServer(state, function)
        self._spawn_runtime(self._api, version)
        if self.options.mode == "snap-start":
            self._take_snapshot()
            state.restore()
        self._wait_for_init(lambda: state.idle)
        self.init_duration = time.monotonic() - self._started

    def _spawn_runtime(self, api: RuntimeApiServer, version: str) -> None:
        directory = self.module_path.parent
        environ = {
            **build_environ(api.function, directory, self.options, version),
            **self.environ,
            "AWS_LAMBDA_RUNTIME_API": api.address,
        }
        argv = [self.python, "-m", "awslambdaric", api.function.handler]
        self._spawn(argv, environ, directory)

    def _take_snapshot(self) -> None:
        """Freeze the instance where Lambda takes the snapshot, then continue it."""
        state = self.state
        self._wait_for_init(lambda: state.snapshot_ready and state.extensions_ready)
        self.freeze()
        if self.while_frozen is not None:
            self.while_frozen()
        self.thaw()

    def _wait_for_init(self, is_ready: Callable[[], bool]) -> None:
        """Wait for a step of Init; raise EmulatorError when it fails or is late."""
        state = self.state
        limit = self._started + self.options.init_timeout - time.monotonic()
        state.wait(lambda: is_ready() or state.failure or self._has_ended, limit)
        if state.failure is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(self.shutdown_grace)
            phase, error = state.failure
            what = f"{phase} failed: {error.decode(errors='replace')}"
            raise self._fail(what)
        if not is_ready():
            reason = "the runtime exited" if self._has_ended else self._name_missing()
            what = f"Init did not end: {reason}"
            raise self._fail(what)

    def _name_missing(self) -> str:
        """Say which extensions, or else that the runtime, have not called next."""
        extensions = self.state.extensions.values()
        names = [f"extension {each.name}" for each in extensions if not each.waiting]
        missing = ", ".join(names or ["the runtime"])
        return f"{missing} never called next in {self.options.init_timeout:g} s"

    # -- invocations ---------------------------------------------------------------
    def invoke(self, event: object = None, *, timeout: float | None = None) -> Answer:
        """
        Invoke the function; the status is 200, or 500 when the function failed.

        After a timeout, a crash or ``terminate`` the next call starts a new instance.

        Args:
            event: what the function receives, serialised as JSON.
            timeout: the function timeout in seconds, instead of the option's.
        """
        began = time.monotonic()
        limit = self.options.timeout if timeout is None else timeout
        with self._slots:
            succeeded, result = self._call(json.dumps(event).encode(), limit)
        seconds = time.monotonic() - began
        if not self.cold_start:
            self.cold_start = self.init_duration + seconds
        status = HTTPStatus.OK if succeeded else HTTPStatus.INTERNAL_SERVER_ERROR
        return Answer(status, result.decode(), seconds)

    def _request(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes
    ) -> tuple[int, str]:
        """Invoke the function as its Function URL would."""
        answer = self.invoke(build_event(method, path, headers, body))
        if answer.status != HTTPStatus.OK:
            return HTTPStatus.BAD_GATEWAY, answer.body
        return read_result(answer.body)

    def _call(self, event: bytes, limit: float) -> tuple[bool, bytes]:
        """Send one event to the instance; return success and the result or error."""
        self._finish_last_call()
        if self._has_ended:
            self.start()
        state = self.state
        call = self._last_call = Call(event, time.time() + limit)
        with state.changed:
            self._thaw_if_alive()
            state.offer(call)
        state.wait(lambda: call.outcome or self._has_ended, limit)
        if call.outcome:
            return call.outcome
        if self._has_ended:
            code = self.process.returncode
            return _error("Runtime.ExitError", f"Runtime exited with code {code}")
        if self.options.managed:
            what = f"no answer in {limit:g} s"
            raise self._fail(what)
        self._shut_down()
        return _error("Sandbox.Timedout", f"Task timed out after {limit:.2f} seconds")

    def _finish_last_call(self) -> None:
        """
        Wait until the last invocation has ended; reset the instance at its timeout.

        Its caller has the response already, but an extension may still be working.
        """
        if self.options.managed or self._last_call is None or self._has_ended:
            return
        state, limit = self.state, self._last_call.deadline - time.time()
        state.wait(lambda: state.idle or self._has_ended, limit)
        if not state.idle and not self._has_ended:
            self._shut_down()

    # -- freeze and thaw -----------------------------------------------------------
    def _freeze_if_idle(self) -> None:
        if not (self.options.managed or self._shutting_down or self._has_ended):
            with contextlib.suppress(ProcessLookupError):
                self.freeze()

    def _thaw_if_alive(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self.thaw()

    # -- shutdown ------------------------------------------------------------------
    def terminate(self) -> Exit:
        """End the idle instance; it gets SIGTERM only if an extension is registered."""
        self._finish_last_call()
        return self._shut_down()

    def _shut_down(self) -> Exit:
        if not self.state.extensions and not self._has_ended:
            began = time.monotonic()
            self.kill()
            return Exit(self.process.returncode, time.monotonic() - began, killed=True)
        ended = super().terminate()
        if not self.options.managed:
            return ended
        # The parent of the workers exits at once: wait for the workers themselves.
        began = time.monotonic() - ended.seconds
        limit = self.shutdown_grace - ended.seconds
        gone = self.state.wait(lambda: self._process_states() <= {"Z"}, limit)
        self.kill()
        return Exit(ended.code, time.monotonic() - began, killed=not gone)

    def _send_sigterm(self) -> None:
        """Signal all processes; from now on an idle instance is not frozen."""
        self._shutting_down = True
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGTERM)

    def close(self) -> None:
        """Kill the instance and release its resources."""
        self._release()
        super().close()

    def _release(self) -> None:
        """Kill all processes of the last instance and close its API server."""
        self.kill()
        if self._api is not None:
            self._api.close()
            self._api = None


def _error(kind: str, message: str) -> tuple[bool, bytes]:
    return False, json.dumps({"errorType": kind, "errorMessage": message}).encode()
