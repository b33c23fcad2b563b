"""Processes that are stuck in C code, and processes that fork."""

from __future__ import annotations

import signal

import pytest

from serverless_flags.testing import FlagServer

KILLED = -signal.SIGTERM
ENDED = ["session terminated", "session closed"]


class TestWatching:
    def test_a_main_thread_that_is_stuck_in_c(self, run) -> None:
        """No Python handler can run there; the watcher flushes and ends the process."""
        process = run(
            """
            session = Session()
            assert signals.watch_sigterm(session, grace=5.0)
            block()
            """
        )
        process.ready()
        process.terminate()

        assert (0, ENDED) == process.end()

    def test_without_the_watcher_it_would_not_end(self, run) -> None:
        """Without the watcher, a handler alone is not enough in such a process."""
        process = run(
            """
            session = Session()
            signals.connect_sigterm(session, grace=5.0)
            threading.Timer(0.3, lambda: os._exit(42)).start()
            block()
            """
        )
        process.ready()
        process.terminate()

        assert (42, []) == process.end()

    def test_a_displaced_wakeup_fd_is_rearmed(self, run) -> None:
        """An event loop has replaced it in the meantime."""
        process = run(
            """
            import asyncio

            async def main():
                loop = asyncio.get_running_loop()
                loop.add_signal_handler(signal.SIGUSR1, print)
                loop.remove_signal_handler(signal.SIGUSR1)

            session = Session()
            signals.watch_sigterm(session, grace=5.0)
            asyncio.run(main())
            signals.rearm()
            block()
            """
        )
        process.ready()
        process.terminate()

        assert (0, ENDED) == process.end()

    def test_while_python_runs_no_wakeup_fd_is_needed(self, run) -> None:
        """The handler wakes the watcher."""
        process = run(
            """
            session = Session()
            signals.watch_sigterm(session, grace=5.0)
            signal.set_wakeup_fd(-1)
            wait()
            """
        )
        process.ready()
        process.terminate()

        assert (0, ENDED) == process.end()

    def test_another_handler_decides_about_the_end(self, run) -> None:
        """The handler that was installed first ends the process, or does not."""
        process = run(
            """
            received = threading.Event()
            signal.signal(signal.SIGTERM, lambda *_: say("theirs"))
            session = Session()
            signals.watch_sigterm(session, grace=5.0)
            wait()
            """
        )
        process.ready()
        process.terminate()

        received = set()
        while received != {"theirs", "session terminated"}:
            received.add(process.read())  # the wakeup fd and the handler may wake it
            assert "" not in received
        assert process.alive()


class TestForking:
    @pytest.mark.parametrize("connect", ["connect_sigterm", "watch_sigterm"])
    def test_a_child_inherits_nothing(self, run, connect) -> None:
        """Its end is not the parent's, and notifies none of the parent's sessions."""
        process = run(
            f"""
            session = Session()
            signals.{connect}(session, grace=5.0)
            child = os.fork()
            if child == 0:
                assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
                assert signal.set_wakeup_fd(-1) == -1
                say("child")
                os.kill(os.getpid(), signal.SIGTERM)
                os._exit(1)
            _, status = os.waitpid(child, 0)
            say(os.waitstatus_to_exitcode(status))
            wait()
            """
        )
        assert ["child", str(KILLED)] == process.ready()
        process.terminate()
        code = KILLED if connect == "connect_sigterm" else 0

        assert (code, ENDED) == process.end()

    def test_a_child_connects_its_own(self, run) -> None:
        """A worker of gunicorn; the master's handler is not in the way."""
        process = run(
            """
            master = Session("master")
            signals.watch_sigterm(master, grace=5.0)
            if os.fork() == 0:
                worker = Session("worker")
                assert signals.connect_sigterm(worker, grace=5.0)
                os.kill(os.getpid(), signal.SIGTERM)
            _, status = os.wait()
            say(os.waitstatus_to_exitcode(status))
            wait()
            """
        )

        ended = ["worker terminated", "worker closed", str(KILLED)]
        assert ended == process.ready()

    def test_a_child_that_exits_normally_closes_its_own(self, run) -> None:
        """The hook at exit is inherited, the sessions are not."""
        process = run(
            """
            parent = Session("parent")
            signals.connect_exit(parent, grace=5.0)
            if os.fork() == 0:
                child = Session("child")
                signals.connect_exit(child, grace=5.0)
            else:
                os.wait()
            """
        )

        assert (0, ["child closed", "parent closed"]) == process.end()


def test_a_session_flushes_at_sigterm(run) -> None:
    """Through a real session and a real signal the counts reach the server."""
    with FlagServer({"simpleFlag": True}) as server:
        process = run(
            """
            from serverless_flags import FlagSession

            flags = FlagSession(platform="local", flush_interval=60)
            signals.watch_sigterm(flags, grace=5.0)
            flags.start(timeout=20)
            for _ in range(3):
                flags.is_enabled("simpleFlag")
            block()
            """,
            **server.environ,
        )
        process.ready()
        process.terminate()

        assert (0, []) == process.end()
        assert 3 == server.counts("simpleFlag").yes
