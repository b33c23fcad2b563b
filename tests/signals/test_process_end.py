"""Real processes and real signals: each way in which a process ends."""

from __future__ import annotations

import signal

import pytest

from serverless_flags.testing import FlagServer

KILLED = -signal.SIGTERM
ENDED = KILLED, ["session terminated", "session closed"]  # by the default action


class TestTheDefaultAction:
    def test_the_signal_still_ends_the_process(self, run) -> None:
        """After the flush and the close, with the signal's own exit code."""
        process = run(
            """
            session = Session()
            assert signals.connect_sigterm(session, grace=5.0)
            wait()
            """
        )
        process.ready()
        process.terminate()

        assert ENDED == process.end()

    def test_sessions_share_one_grace(self, run) -> None:
        """They flush in parallel: a single one would never pass the barrier."""
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

        assert KILLED == code
        assert {"a terminated", "b terminated"} == set(lines[:2])
        assert {"a closed", "b closed"} == set(lines[2:])

    def test_a_flush_that_hangs_does_not_delay_the_end(self, run) -> None:
        """The grace of the session is shorter than the platform's."""
        process = run(
            """
            hanging = Session("hanging", lambda _: threading.Event().wait())
            signals.connect_sigterm(hanging, grace=0.1)
            wait()
            """
        )
        process.ready()
        process.terminate()

        assert (KILLED, ["hanging closed"]) == process.end()


class TestOtherHandlers:
    def test_the_previous_handler_is_called_after_the_flush(self, run) -> None:
        """It decides whether the process ends; a normal exit closes."""
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

    def test_a_handler_installed_later_may_call_the_sessions(self, run) -> None:
        """As well-behaved handlers do."""
        process = run(
            """
            session = Session()
            signals.connect_sigterm(session, grace=5.0)
            own_handler = signal.getsignal(signal.SIGTERM)

            def theirs(signum, frame):
                say("theirs")
                own_handler(signum, frame)

            signal.signal(signal.SIGTERM, theirs)
            wait()
            """
        )
        process.ready()
        process.terminate()

        assert (KILLED, ["theirs", "session terminated"]) == process.end()

    def test_a_handler_installed_later_may_not_call_it(self, run) -> None:
        """Then the sessions are closed at the interpreter's exit."""
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
        """Each signal flushes, because a draining server still handles requests."""
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


class TestExit:
    @pytest.mark.parametrize(
        ("last", "code"), [("", 0), ("sys.exit(3)", 3), ("raise SystemExit", 0)]
    )
    def test_a_normal_exit_closes(self, run, last, code) -> None:
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
        """A real session, at a time when no thread can be started any more."""
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
        """A session that cannot log still flushes, and the process ends."""
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

    def test_a_session_blocked_by_the_log_is_not_waited_for(self, run) -> None:
        """The lock is never released; the grace limits the wait all the same."""
        process = run(
            """
            import logging

            logging.basicConfig(stream=sys.stdout)

            def work(timeout):
                say("flushed")
                logging.warning("counts were not accepted")

            session = Session(work=work)
            signals.connect_sigterm(session, grace=0.2)
            logging.getLogger().handlers[0].acquire()
            wait()
            """
        )
        process.ready()
        process.terminate()

        assert (KILLED, ["flushed", "session closed"]) == process.end()

    def test_the_main_thread_may_hold_a_threads_lock(self, run) -> None:
        """The signal may arrive while a thread is being started or an Event is set."""
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

        assert ENDED == process.end()


class TestLocal:
    def test_sigterm_brings_the_counts(self, run) -> None:
        """In a script or a container; the exit code is the signal's."""
        with FlagServer({"simpleFlag": True}) as server:
            process = run(
                """
                from serverless_flags import FlagSession

                flags = FlagSession(platform="local")
                work = flags.wrap(lambda: flags.is_enabled("simpleFlag"))
                say(work(), flags.status.termination)
                wait()
                """,
                **server.environ,
            )
            assert ["True connected"] == process.ready()
            process.terminate()
            code, _ = process.end()

            assert KILLED == code
            assert 1 == server.counts("simpleFlag").yes

    def test_a_second_sigterm_does_not_cut_the_flush_off(self, run) -> None:
        """Impatient tools send several."""
        process = run(
            """
            free = threading.Event()

            def work(timeout):
                say("flushing")
                free.wait(0.5)

            session = Session(work=work)
            signals.connect_sigterm(session, grace=20.0)
            wait()
            """
        )
        process.ready()
        process.terminate()
        assert "flushing" == process.read()
        process.terminate()

        assert ENDED == process.end()

    def test_sigterm_while_the_interpreter_exits(self, run) -> None:
        """The close completes, then the signal ends the process."""
        process = run(
            """
            class Slow(Session):
                def close(self, timeout):
                    os.kill(os.getpid(), signal.SIGTERM)
                    say("closing")
                    super().close(timeout)

            session = Slow()
            signals.connect_sigterm(session, grace=5.0)
            """
        )

        assert (KILLED, ["closing", "session closed"]) == process.end()
