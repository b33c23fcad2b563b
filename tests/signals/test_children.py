"""Processes that multiprocessing or ``os.fork`` create from one with a session."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest

from serverless_flags.testing import FlagServer

PATIENCE = 60.0

PRELUDE = (Path(__file__).parent / "programs" / "children.py").read_text("utf-8")


@pytest.fixture(name="server")
def _server():
    with FlagServer({"simpleFlag": True}) as server:
        yield server


@pytest.fixture(name="run")
def _run(server, tmp_path):
    """Return a function that runs a program and returns its output."""

    def run(main: str, method: str = "fork", platform: str = "local") -> list[str]:
        body = "if __name__ == '__main__':\n" + "\n".join(
            f"    {line}" for line in dedent(main).strip().splitlines()
        )
        (tmp_path / "job.py").write_text(f"{PRELUDE}\n\n{body}")
        done = subprocess.run(
            [sys.executable, str(tmp_path / "job.py"), method, platform],
            env={**os.environ, **server.environ, "PYTHONWARNINGS": "ignore"},
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        assert 0 == done.returncode, done.stderr
        assert "Traceback" not in done.stderr, done.stderr
        return done.stdout.splitlines()

    return run


METHODS = pytest.mark.parametrize("method", ["fork", "forkserver", "spawn"])


class TestMultiprocessing:
    @METHODS
    def test_a_process_sends_its_counts(self, run, server, method) -> None:
        """It ends by ``os._exit``, without ``atexit``: its finalizers send them."""
        lines = run(
            """
            work()
            child = context.Process(target=say)
            child.start()
            child.join()
            """,
            method,
        )

        assert ["connected 60.0"] == lines
        assert 2 == server.counts("simpleFlag").yes

    @METHODS
    def test_a_pool_sends_its_counts(self, run, server, method) -> None:
        """However its workers end: ``with`` ends them by SIGTERM."""
        run(
            """
            with context.Pool(2) as pool:
                pool.map(work, range(6))
            pool = context.Pool(2)
            pool.map(work, range(6))
            pool.close()
            pool.join()
            """,
            method,
        )

        assert 12 == server.counts("simpleFlag").yes

    @METHODS
    def test_an_executor_sends_its_counts(self, run, server, method) -> None:
        """Its workers end when it is shut down."""
        run(
            """
            with ProcessPoolExecutor(2, mp_context=context) as executor:
                for answer in executor.map(said, range(6)):
                    assert answer == ("connected", 60.0), answer
            """,
            method,
        )

        assert 6 == server.counts("simpleFlag").yes

    @METHODS
    def test_a_terminated_process_sends_its_counts(self, run, server, method) -> None:
        """`terminate` sends SIGTERM; the exit code stays the signal's."""
        run(
            """
            ready = context.Event()
            child = context.Process(target=wait_after_work, args=(ready,))
            child.start()
            ready.wait()
            child.terminate()
            child.join()
            assert child.exitcode == -15, child.exitcode
            """,
            method,
        )

        assert 1 == server.counts("simpleFlag").yes

    @METHODS
    def test_grandchildren_send_their_counts(self, run, server, method) -> None:
        """Each process has its own session, whichever process forked it."""
        run(
            """
            work()
            child = context.Process(target=grand)
            child.start()
            child.join()
            """,
            method,
        )

        assert 3 == server.counts("simpleFlag").yes

    def test_a_short_grace_applies_to_signals_only(self, run, server) -> None:
        """A child that ends by itself has more time, because it got no signal."""
        lines = run(
            """
            work()
            child = context.Process(target=say)
            child.start()
            child.join()
            os._exit(0)
            """,
            platform="abrupt",
        )

        assert ["connected 60.0", "disconnected"] == lines
        assert 1 == server.counts("simpleFlag").yes

    def test_without_a_session_in_the_parent(self, run, server) -> None:
        """The child's first invocation is the first of all."""
        lines = run(
            """
            child = context.Process(target=say)
            child.start()
            child.join()
            """
        )

        assert ["connected 60.0"] == lines
        assert 1 == server.counts("simpleFlag").yes


class TestOsFork:
    @pytest.mark.parametrize("leave", ["os._exit(0)", "sys.exit(0)"])
    @pytest.mark.parametrize("before", ["work()", "pass"])
    def test_a_fork_flushes_each_invocation(self, run, server, leave, before) -> None:
        """The way in which it will end is unknown, and the status says so."""
        lines = run(
            f"""
            {before}
            if os.fork() == 0:
                say()
                {leave}
            os.wait()
            """
        )

        reason = "not connected: a forked process may end by os._exit"
        assert lines[0].startswith(reason)
        assert lines[0].endswith(" 0.0")
        assert 1 + (before == "work()") == server.counts("simpleFlag").yes

    @pytest.mark.parametrize("platform", ["cloud", "abrupt"])
    def test_no_adapter_knows_how_a_fork_ends(self, run, server, platform) -> None:
        """Whatever the adapter returns, it does not know about a function's child."""
        lines = run(
            """
            work()
            if os.fork() == 0:
                say()
                os._exit(0)
            os.wait()
            say()
            os._exit(0)
            """,
            platform=platform,
        )

        assert lines[0].startswith("not connected: a forked process may end")
        assert lines[0].endswith(" 0.0")
        assert ["connected 60.0"] == lines[1:]
        assert 1 == server.counts("simpleFlag").yes

    def test_workers_forked_before_the_first_invocation(self, run, server) -> None:
        """Their adapter knows how they end."""
        lines = run(
            """
            if os.fork() == 0:
                say()
                flags.close()
                os._exit(0)
            os.wait()
            """,
            platform="cloud",
        )

        assert ["connected 60.0", "disconnected"] == lines
        assert 1 == server.counts("simpleFlag").yes

    def test_a_fork_of_a_multiprocessing_child(self, run, server) -> None:
        """It is not a child of multiprocessing, although its process object says so."""
        lines = run(
            """
            child = context.Process(target=fork_and_say)
            child.start()
            child.join()
            """
        )

        assert lines[0].startswith("not connected: a forked process")
        assert 2 == server.counts("simpleFlag").yes
