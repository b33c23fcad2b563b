"""Real processes and real signals: each way to end, and what is left of it."""

from __future__ import annotations

import signal

import pytest

from serverless_flags.testing import FlagServer

KILLED = -signal.SIGTERM


class TestTheDefaultAction:
    def test_the_signal_still_ends_the_process(self, run) -> None:
        """After the flush, with the signal's own exit code; nothing is closed twice."""
        process = run(
            """
            session = Session()
            assert signals.connect_sigterm(session, grace=5.0)
            wait()
            """
        )
        process.ready()
        process.terminate()

        assert (KILLED, ["session terminated"]) == process.end()

    def test_sessions_share_one_grace(self, run) -> None:
        """They flush side by side: one alone would not get past the barrier."""
        process = run(
            """
            both = threading.Barrier(2)
            sessions = [Session(name, lambda _: both.wait(20)) for name in "ab"]
            for session in sessions:
                signals.connect_sigterm(session, grace=10.0)
            wait()
            """
        )
        process.ready()
        process.terminate()
        code, lines = process.end()

        assert (KILLED, {"a terminated", "b terminated"}) == (code, set(lines))

    def test_a_flush_that_hangs_does_not_keep_the_process(self, run) -> None:
        """The grace is over before the platform's patience is."""
        process = run(
            """
            hanging = Session("hanging", lambda _: threading.Event().wait())
            signals.connect_sigterm(hanging, grace=0.1)
            wait()
            """
        )
        process.ready()
        process.terminate()

        assert (KILLED, []) == process.end()


class TestOtherHandlers:
    def test_the_previous_handler_is_called_after_the_flush(self, run) -> None:
        """What stood there decides about the end; leaving in order closes."""
        process = run(
            """
            def theirs(signum, frame):
                say("theirs", signum, frame is not None)
                sys.exit(7)

            signal.signal(signal.SIGTERM, theirs)
            session = Session()
            signals.connect_sigterm(session, grace=5.0)
            wait()
            """
        )
        process.ready()
        process.terminate()

        assert (
            7,
            ["session terminated", "theirs 15 True", "session closed"],
        ) == process.end()

    def test_a_handler_installed_later_may_call_ours(self, run) -> None:
        """As handlers do that know their manners."""
        process = run(
            """
            session = Session()
            signals.connect_sigterm(session, grace=5.0)
            ours = signal.getsignal(signal.SIGTERM)

            def theirs(signum, frame):
                say("theirs")
                ours(signum, frame)

            signal.signal(signal.SIGTERM, theirs)
            wait()
            """
        )
        process.ready()
        process.terminate()

        assert (KILLED, ["theirs", "session terminated"]) == process.end()

    def test_a_handler_installed_later_may_not(self, run) -> None:
        """Then leaving in order is the end that we hear of."""
        process = run(
            """
            session = Session()
            signals.connect_sigterm(session, grace=5.0)
            signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
            wait()
            """
        )
        process.ready()
        process.terminate()

        assert (0, ["session closed"]) == process.end()

    def test_an_ignored_signal_is_survived(self, run) -> None:
        """Each one flushes, for a draining server still answers."""
        process = run(
            """
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            session = Session()
            signals.connect_sigterm(session, grace=5.0)
            wait()
            """
        )
        process.ready()
        for _ in range(2):
            process.terminate()
            assert "session terminated" == process.read()

        assert process.alive()


class TestWatching:
    def test_a_main_thread_that_is_stuck_in_c(self, run) -> None:
        """No handler of Python's can run there; the watcher flushes and leaves."""
        process = run(
            """
            session = Session()
            assert signals.watch_sigterm(session, grace=5.0)
            block()
            """
        )
        process.ready()
        process.terminate()

        assert (0, ["session terminated"]) == process.end()

    def test_without_the_watcher_it_would_not_end(self, run) -> None:
        """The premise: a handler alone is not enough in such a process."""
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
        """An event loop ran in between and took it along."""
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

        assert (0, ["session terminated"]) == process.end()

    def test_while_python_runs_no_wakeup_fd_is_needed(self, run) -> None:
        """The handler tells the watcher."""
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

        assert (0, ["session terminated"]) == process.end()

    def test_another_handler_keeps_the_process(self, run) -> None:
        """Who handled SIGTERM before us ends the process, or does not."""
        process = run(
            """
            heard = threading.Event()
            signal.signal(signal.SIGTERM, lambda *_: say("theirs"))
            session = Session()
            signals.watch_sigterm(session, grace=5.0)
            wait()
            """
        )
        process.ready()
        process.terminate()

        assert {"theirs", "session terminated"} == {process.read(), process.read()}
        assert process.alive()


class TestForking:
    @pytest.mark.parametrize("connect", ["connect_sigterm", "watch_sigterm"])
    def test_a_child_inherits_nothing(self, run, connect) -> None:
        """Its end is not the parent's, and tells none of the parent's sessions."""
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

        assert (code, ["session terminated"]) == process.end()

    def test_a_child_connects_its_own(self, run) -> None:
        """A worker of gunicorn's; the master's handler is not in the way."""
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

        assert ["worker terminated", str(KILLED)] == process.ready()

    def test_a_child_that_leaves_in_order_closes_its_own(self, run) -> None:
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


class TestExit:
    @pytest.mark.parametrize(
        ("last", "code"), [("", 0), ("sys.exit(3)", 3), ("raise SystemExit", 0)]
    )
    def test_leaving_in_order_closes(self, run, last, code) -> None:
        """However the interpreter comes to its end."""
        process = run(
            f"""
            session = Session()
            signals.connect_exit(session, grace=5.0)
            {last}
            """
        )

        assert (code, ["session closed"]) == process.end()

    def test_the_flags_are_flushed_at_exit(self, run) -> None:
        """A real session, when no thread can be started any more."""
        with FlagServer({"simpleFlag": True}) as server:
            process = run(
                """
                from serverless_flags import FlagSession

                flags = FlagSession(platform="local")
                flags.start(timeout=20)
                say(flags.is_enabled("simpleFlag"))
                """,
                **server.environ,
            )

            assert (0, ["True"]) == process.end()
            assert 1 == server.counts("simpleFlag").yes


class TestLocks:
    def test_the_main_thread_may_hold_the_log(self, run) -> None:
        """A session that cannot log flushes all the same, and the process ends."""
        with FlagServer({"simpleFlag": True}) as server:
            process = run(
                """
                import logging
                from serverless_flags import FlagSession

                logging.basicConfig(level=logging.DEBUG, stream=sys.stdout)
                flags = FlagSession(platform="local", flush_interval=60)
                flags.start(timeout=20)
                flags.is_enabled("simpleFlag")
                signals.connect_sigterm(flags, grace=5.0)
                logging.getLogger().handlers[0].acquire()
                logging._lock.acquire()
                wait()
                """,
                **server.environ,
            )
            process.ready()
            process.terminate()
            code, _ = process.end()

            assert KILLED == code
            assert 1 == server.counts("simpleFlag").yes

    def test_a_session_that_must_log_is_left_with_it(self, run) -> None:
        """The lock is never free again; the grace is a bound all the same."""
        process = run(
            """
            import logging

            logging.basicConfig(stream=sys.stdout)

            def work(timeout):
                say("flushed")
                logging.warning("counts were not taken")

            session = Session(work=work)
            signals.connect_sigterm(session, grace=0.2)
            logging.getLogger().handlers[0].acquire()
            wait()
            """
        )
        process.ready()
        process.terminate()

        assert (KILLED, ["flushed"]) == process.end()

    def test_the_main_thread_may_hold_a_threads_lock(self, run) -> None:
        """The signal may come while a thread is being started or an Event is set."""
        process = run(
            """
            session = Session()
            signals.connect_sigterm(session, grace=5.0)
            threading._active_limbo_lock.acquire()
            wait()
            """
        )
        process.ready()
        process.terminate()

        assert (KILLED, ["session terminated"]) == process.end()


def test_a_session_flushes_at_sigterm(run) -> None:
    """From the flag to the server's book, through a real session and a real signal."""
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
