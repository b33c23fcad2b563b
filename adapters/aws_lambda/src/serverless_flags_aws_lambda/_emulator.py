"""AWS Lambda on a laptop: awslambdaric, the runtime that Lambda itself runs."""

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
from serverless_flags_aws_lambda._environment import (
    Function,
    build_environ,
    find_runtime,
)
from serverless_flags_aws_lambda._function_url import build_event, read_result
from serverless_flags_aws_lambda._lifecycle import Call, Lifecycle
from serverless_flags_aws_lambda._options import read_options
from serverless_flags_aws_lambda._runtime_api import RuntimeApi

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


class LambdaEmulator(Emulator):
    """
    One execution environment: frozen when idle, killed or told as Lambda would.

    Args:
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
        """Seconds that the last Init took, a restoration included."""
        self.while_frozen: Callable[[], object] | None = None
        """Called in ``snap-start`` between the snapshot and its restoration."""
        self._turn = threading.BoundedSemaphore(self.options.processes)
        self._api: RuntimeApi | None = None
        self._last: Call | None = None
        self._shutting_down = False

    @property
    def runtime(self) -> str:
        """The version of awslambdaric and the instance's Python."""
        ric, version = find_runtime(self.python)
        return f"awslambdaric {ric}, Python {version}"

    @property
    def lifecycle(self) -> Lifecycle:
        """What the instance has done so far. Raises EmulatorError before ``start``."""
        if self._api is None:
            message = "the instance is not running: call start() first"
            raise EmulatorError(message)
        return self._api.lifecycle

    @property
    def _ended(self) -> bool:
        return self._process is None or self._process.poll() is not None

    # -- Init ----------------------------------------------------------------------
    def start(self) -> None:
        """
        Run Init, and in ``snap-start`` the restoration.

        Raises:
            EmulatorError: when it fails, does not end in time, or awslambdaric is
                missing; the message shows what the instance printed.
        """
        version = find_runtime(self.python)[1]
        self._release()
        self._shutting_down = False
        lifecycle = Lifecycle(
            workers=self.options.processes,
            managed=self.options.managed,
            on_idle=self._freeze_if_idle,
        )
        name = self.module_path.stem
        function = Function(
            self.environ.get("AWS_LAMBDA_FUNCTION_NAME", name),
            f"{name}.{self.function}",
        )
        self._api = RuntimeApi(lifecycle, function)
        directory = self.module_path.parent
        environ = {
            **build_environ(function, directory, self.options, version),
            **self.environ,
            "AWS_LAMBDA_RUNTIME_API": self._api.address,
        }
        argv = [self.python, "-m", "awslambdaric", function.handler]
        self._spawn(argv, environ, directory)
        if self.options.mode == "snap-start":
            self._take_snapshot()
            lifecycle.restore()
        self._await(lambda: lifecycle.idle)
        self.init_duration = time.monotonic() - self._started

    def _take_snapshot(self) -> None:
        """Stop the instance at the point that a snapshot is taken, and go on."""
        lifecycle = self.lifecycle
        self._await(lambda: lifecycle.snapshot_ready and lifecycle.extensions_ready)
        self.freeze()
        if self.while_frozen is not None:
            self.while_frozen()
        self.thaw()

    def _await(self, ready: Callable[[], bool]) -> None:
        """Wait for a step of Init."""
        life = self.lifecycle
        limit = self._started + self.options.init_timeout - time.monotonic()
        life.wait(lambda: ready() or life.failure or self._ended, limit)
        if life.failure is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(self.shutdown_grace)
            phase, error = life.failure
            what = f"{phase} failed: {error.decode(errors='replace')}"
            raise self._fail(what)
        if not ready():
            reason = "the runtime exited" if self._ended else self._missing()
            what = f"Init did not end: {reason}"
            raise self._fail(what)

    def _missing(self) -> str:
        """Name who has not called next."""
        extensions = self.lifecycle.extensions.values()
        silent = [each.name for each in extensions if not each.waiting]
        names = [f"extension {name}" for name in silent] or ["the runtime"]
        return (
            f"{', '.join(names)} never called next in {self.options.init_timeout:g} s"
        )

    # -- invocations ---------------------------------------------------------------
    def invoke(self, event: object = None, *, timeout: float | None = None) -> Answer:
        """
        Send ``event``; the status is 200, or 500 when the function failed.

        After a timeout or a crash, or once terminated, a new instance is started.

        Args:
            event: what the function gets, as JSON carries it.
            timeout: seconds; overrides the function timeout.
        """
        began = time.monotonic()
        limit = self.options.timeout if timeout is None else timeout
        with self._turn:
            succeeded, result = self._call(json.dumps(event).encode(), limit)
        seconds = time.monotonic() - began
        if not self.cold_start:
            self.cold_start = self.init_duration + seconds
        status = HTTPStatus.OK if succeeded else HTTPStatus.INTERNAL_SERVER_ERROR
        return Answer(status, result.decode(), seconds)

    def _request(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes
    ) -> tuple[int, str]:
        """Call the function as its Function URL would."""
        answer = self.invoke(build_event(method, path, headers, body))
        if answer.status != HTTPStatus.OK:
            return HTTPStatus.BAD_GATEWAY, answer.body
        return read_result(answer.body)

    def _call(self, event: bytes, limit: float) -> tuple[bool, bytes]:
        """Send one event into the instance; return what came of it."""
        self._end_last_phase()
        if self._ended:
            self.start()
        lifecycle = self.lifecycle
        call = self._last = Call(event, time.time() + limit)
        with lifecycle.changed:
            self._thaw_if_alive()
            lifecycle.offer(call)
        lifecycle.wait(lambda: call.outcome or self._ended, limit)
        if call.outcome:
            return call.outcome
        if self._ended:
            code = self.process.returncode
            return _error("Runtime.ExitError", f"Runtime exited with code {code}")
        if self.options.managed:
            what = f"no answer in {limit:g} s"
            raise self._fail(what)
        self._shut_down()
        return _error("Sandbox.Timedout", f"Task timed out after {limit:.2f} seconds")

    def _end_last_phase(self) -> None:
        """
        Wait for the end of the last invocation; past its timeout, reset the instance.

        Its caller has long been answered: it may be an extension that is still at work.
        """
        if self.options.managed or self._last is None or self._ended:
            return
        life = self.lifecycle
        life.wait(lambda: life.idle or self._ended, self._last.deadline - time.time())
        if not life.idle and not self._ended:
            self._shut_down()

    # -- freeze and thaw -----------------------------------------------------------
    def _freeze_if_idle(self) -> None:
        if not (self.options.managed or self._shutting_down or self._ended):
            with contextlib.suppress(ProcessLookupError):
                self.freeze()

    def _thaw_if_alive(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self.thaw()

    # -- the end -------------------------------------------------------------------
    def terminate(self) -> Exit:
        """End the idle instance: SIGTERM only if an extension is registered."""
        self._end_last_phase()
        return self._shut_down()

    def _shut_down(self) -> Exit:
        if not self.lifecycle.extensions and not self._ended:
            began = time.monotonic()
            self.kill()
            return Exit(self.process.returncode, time.monotonic() - began, killed=True)
        ended = super().terminate()
        if not self.options.managed:
            return ended
        # The parent of the workers dies at once; what counts is when they are gone.
        began = time.monotonic() - ended.seconds
        limit = self.shutdown_grace - ended.seconds
        gone = self.lifecycle.wait(lambda: self._states() <= {"Z"}, limit)
        self.kill()
        return Exit(ended.code, time.monotonic() - began, killed=not gone)

    def _send_sigterm(self) -> None:
        """Signal the whole group; what it answers from now on freezes it no more."""
        self._shutting_down = True
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGTERM)

    def close(self) -> None:
        """Kill what is left of the instance and let go of its resources."""
        self._release()
        super().close()

    def _release(self) -> None:
        """Kill what is left of the last instance, workers included."""
        self.kill()
        if self._api is not None:
            self._api.close()
            self._api = None


def _error(kind: str, message: str) -> tuple[bool, bytes]:
    return False, json.dumps({"errorType": kind, "errorMessage": message}).encode()
