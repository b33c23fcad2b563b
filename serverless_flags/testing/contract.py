"""The tests that every adapter has to pass; the adapter's own tests inherit them."""

from __future__ import annotations

import os
import ssl
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any, ClassVar

from serverless_flags.exceptions import MissingDependencyError
from serverless_flags.hookspecs import PROJECT
from serverless_flags.testing._contract_names import FLAG, FORKED, GATE
from serverless_flags.testing._contract_run import (
    PATIENCE,
    UNHURRIED,
    Trial,
    expect,
    require,
    trial,
)
from serverless_flags.testing._emulate import emulate
from serverless_flags.testing.faults import Fault
from serverless_flags.testing.flag_counts import Counts

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AbstractContextManager
    from pathlib import Path

    from serverless_flags.testing.emulator import Emulator

__all__ = ["AdapterContract", "Trial"]

CLOUDS: Mapping[str, Mapping[str, str]] = {
    "aws_lambda": {
        "AWS_EXECUTION_ENV": "AWS_Lambda_python3.13",
        "AWS_LAMBDA_FUNCTION_NAME": "hello",
        "AWS_LAMBDA_RUNTIME_API": "127.0.0.1:9001",
        "LAMBDA_TASK_ROOT": "/var/task",
    },
    "gcp_cloud_functions": {
        "FUNCTION_SIGNATURE_TYPE": "http",
        "FUNCTION_TARGET": "hello",
        "K_CONFIGURATION": "hello",
        "K_REVISION": "hello-00001-abc",
        "K_SERVICE": "hello",
        "PORT": "8080",
    },
    "azure_functions": {
        "AzureWebJobsScriptRoot": "/home/site/wwwroot",
        "FUNCTIONS_EXTENSION_VERSION": "~4",
        "FUNCTIONS_WORKER_RUNTIME": "python",
        "WEBSITE_SITE_NAME": "hello",
    },
}
"""What the environment of each cloud looks like."""

LIMIT = 1.0
"""Seconds that flags may be old in the tests that freeze."""

SHORT_LIVED = {
    "SERVERLESS_FLAGS_MAX_AGE": "0.1",
    "SERVERLESS_FLAGS_STALE_WHILE_REVALIDATE": str(LIMIT - 0.1),
}

HURRIED = {
    "SERVERLESS_FLAGS_START_TIMEOUT": "0.5",
    "SERVERLESS_FLAGS_REFRESH_TIMEOUT": "0.2",
    "SERVERLESS_FLAGS_FLUSH_TIMEOUT": "0.2",
    "SERVERLESS_FLAGS_REQUEST_TIMEOUT": str(PATIENCE),
}


class AdapterContract:
    """
    Tests of an adapter against its platform's real runtime; subclass it.

    ::

        class TestContract(AdapterContract):
            platform = "knative"
            environ = {"K_SERVICE": "hello"}
            target = "path/to/module.py:function"

    `serverless_flags.testing.contract_function` shows the few lines of the function.
    pytest collects the tests; they need POSIX and the extra ``contract``.
    """

    platform: ClassVar[str]
    """The platform's name in one word, which names the adapter's entry point too."""

    environ: ClassVar[Mapping[str, str]]
    """The environment variables by which the adapter recognises the platform."""

    target: ClassVar[str]
    """The contract's function: ``path/to/module.py:function``."""

    options: ClassVar[Mapping[str, str]] = {}
    """Options for the platform's emulator."""

    def emulator(self, environ: Mapping[str, str]) -> Emulator:
        """
        Return an instance that has not been started.

        Override it where your adapter does not implement ``emulate``.
        """
        return emulate(self.platform, self.target, environ=environ, **self.options)

    def trial(
        self, settings: Mapping[str, str] = UNHURRIED, **server: Any
    ) -> AbstractContextManager[Trial]:
        """
        Start an instance and its flag server; end both on leaving.

        Args:
            settings: environment variables of the instance.
            server: ``fault``, ``round_trip`` and ``tls`` of the server.
        """
        return trial(self.emulator, settings, **server)

    # -- detection -----------------------------------------------------------------
    def test_its_environment_is_recognised(self) -> None:
        """The entry point, the platform and the contract have the same name."""
        expect("the platform", self.platform, self._detect(self.environ))

    def test_no_other_environment_is_recognised(self) -> None:
        """On a laptop and on every other cloud the adapter returns None."""
        expect("an empty environment", None, self._detect({}))
        for cloud in sorted(CLOUDS.keys() - {self.platform}):
            expect(cloud, None, self._detect(CLOUDS[cloud]))

    def _detect(self, environ: Mapping[str, str]) -> str | None:
        (entry_point,) = entry_points(group=PROJECT, name=self.platform)
        platform = entry_point.load().detect_platform(environ)
        return None if platform is None else str(platform.name)

    def test_the_instance_elects_the_adapter(self) -> None:
        """Under the real runtime the session uses the adapter, and no hook fails."""
        with self.trial() as on:
            answer = on.ask()
            output = on.instance.output

            expect("the platform", self.platform, answer["platform"])
            failed = "plugin '" in answer["termination"]
            require(f"a connection or a reason: {answer['termination']}", not failed)
            said = [line for line in output.splitlines() if "plugin '" in line]
            expect("warnings of the adapter", [], said)

    # -- one start, every count ----------------------------------------------------
    def test_fifty_first_invocations_start_once(self) -> None:
        """Every process asks for the flags once, and no invocation gets a default."""
        with self.trial({**UNHURRIED, "SERVERLESS_FLAGS_MAX_AGE": "3600"}) as on:
            answers = on.ask_at_once(50)
            on.end()

            expect("the answers", {True}, {answer["enabled"] for answer in answers})
            expect("requests", len({answer["pid"] for answer in answers}), on.fetches)
            expect("counts", Counts(yes=50), on.counts)

    def test_sigterm_loses_no_count(self) -> None:
        """The instance ends within its grace, and the server has every evaluation."""
        with self.trial() as on:
            for _ in range(5):
                on.ask()
            ended = on.end()

            require("the end comes in its grace", not ended.killed)
            expect("counts", Counts(yes=5), on.counts)

    def test_sigterm_while_logging_is_locked(self, tmp_path: Path) -> None:
        """The last flush logs nothing before it is sent, so no lock stops it."""
        gate = tmp_path / "gate"
        os.mkfifo(gate)
        with self.trial({**UNHURRIED, GATE: str(gate)}) as on:
            on.ask()
            with ThreadPoolExecutor(1) as caller:
                held = caller.submit(on.instance.request, "/?do=hold")
                with gate.open("wb"):  # opens when the function holds the locks
                    on.signal()
                    # a server that drains flushes only after the answer
                    on.server.wait_for_counts(FLAG, 2, timeout=1.0)
                ended = on.wait_for_end()
                held.exception()  # an answer, or a connection that broke

            require("the end comes in its grace", ended)
            expect("counts", Counts(yes=2), on.counts)

    def test_a_forked_child_starts_without_counts(self) -> None:
        """A forked child sends its own evaluations; its parent's are sent once."""
        with self.trial() as on:
            on.ask()
            on.ask("fork")
            on.ask()
            on.end()

            expect("counts", Counts(yes=3 + FORKED), on.counts)

    def test_an_exception_passes(self) -> None:
        """The function's exception reaches the runtime; its evaluation is counted."""
        with self.trial() as on:
            failed = on.instance.request("/?do=raise")
            on.ask()
            on.end()

            expect("the status is of a failure", 5, failed.status // 100)
            told = failed.body + on.instance.output
            require("the exception is told", "ContractError" in told)
            expect("counts", Counts(yes=2), on.counts)

    # -- freeze and thaw -----------------------------------------------------------
    def test_a_flip_during_a_freeze_is_obeyed(self) -> None:
        """Flags that were fresh before a long freeze are refreshed after it."""
        with self.trial({**UNHURRIED, **SHORT_LIVED}) as on:
            before = on.ask()["enabled"]
            with on.frozen(LIMIT):
                on.server.set(FLAG, enabled=False)
            after = on.ask()["enabled"]
            on.end()

            expect("before and after", (True, False), (before, after))
            expect("counts", Counts(yes=1, no=1), on.counts)

    def test_a_freeze_in_the_middle_of_a_refresh(self, tmp_path: Path) -> None:
        """An answer from before a freeze does not count as fresh after it."""
        gate = tmp_path / "gate"
        os.mkfifo(gate)
        settings = {**UNHURRIED, **SHORT_LIVED, GATE: str(gate)}
        with self.trial(settings) as on:
            on.ask()
            on.server.fault = Fault.UNANSWERED
            with on.frozen(0.15):
                pass  # the flags grow stale
            with ThreadPoolExecutor(1) as caller:
                refreshing = caller.submit(on.ask, "wait")
                with gate.open("wb"):
                    held = on.server.wait_for_held(1, PATIENCE)
                refreshing.result()
            with on.frozen(LIMIT):
                on.server.set(FLAG, enabled=False)
                on.server.fault = Fault.NONE
                on.server.release()  # the answer waits for the thaw
            after = [on.ask()["enabled"] for _ in range(5)]
            on.end()

            require("a refresh is under way at the freeze", held)
            expect("after the thaw", [False] * 5, after)
            expect("counts", Counts(yes=2, no=5), on.counts)

    # -- bad servers ---------------------------------------------------------------
    def test_a_dead_server(self) -> None:
        """Flags take their defaults until the server works; then all is counted."""
        with self.trial(fault=Fault.REFUSED) as on:
            first = [on.ask()["enabled"] for _ in range(3)]
            on.server.fault = Fault.NONE
            on.ask_until(lambda answer: answer["enabled"], "")
            on.end()

            expect("the defaults", [False] * 3, first)
            expect("counts", on.asked, on.counts.total)

    def test_a_server_that_never_answers(self) -> None:
        """Timeouts bound what it costs: the start, ten invocations and the end."""
        with self.trial(HURRIED, fault=Fault.UNHEARD) as on:
            answers = {on.ask()["enabled"] for _ in range(10)}
            ended = on.end()

            expect("the default", {False}, answers)
            require("ten invocations are short", on.waited < PATIENCE / 2)
            require("the end comes in its grace", not ended.killed)

    def test_a_server_200_ms_away_over_tls(self, tmp_path: Path) -> None:
        """A function of 5 ms refreshes and counts, with the default timeouts."""
        settings = {
            "REQUESTS_CA_BUNDLE": str(tmp_path / "ca.pem"),
            "SERVERLESS_FLAGS_MAX_AGE": "0.1",
            "SERVERLESS_FLAGS_FLUSH_INTERVAL": "0.1",
        }
        tls = _certify(tmp_path / "ca.pem")
        with self.trial(settings, round_trip=0.2, tls=tls) as on:
            on.ask_until(lambda answer: answer["enabled"], "work")
            on.server.set(FLAG, enabled=False)
            on.ask_until(lambda answer: not answer["enabled"], "work")
            asked = on.asked
            on.ask_until(lambda _: on.counts.total >= asked, "work")


def _certify(path: Path) -> ssl.SSLContext:
    """Return a server's context for 127.0.0.1; its authority goes to ``path``."""
    try:
        import trustme  # an extra, and for one test only
    except ModuleNotFoundError as error:
        message = "the contract needs trustme: pip install 'serverless-flags[contract]'"
        raise MissingDependencyError(message, name=error.name) from error

    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(path))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return context
