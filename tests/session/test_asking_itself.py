"""Flags evaluated on threads that the start, discovery or a connect waits for."""

from __future__ import annotations

import threading

from serverless_flags import FlagSession, hookimpl

WAIT = 20.0
"""Seconds; a bound against hanging only."""


def test_an_observer_of_the_first_refresh_gets_the_default(
    make, server, cloud, within_time, caplog
):
    """The observer runs on the request's thread, which the start waits for."""

    class Asking(cloud):
        @hookimpl
        def after_refresh(self, outcome: str) -> None:
            flags.is_enabled("simpleFlag")

    flags = make(Asking(), start_timeout=3600)
    within_time(flags.start)

    assert "no flags within" not in caplog.text
    assert flags.wrap(lambda: flags.is_enabled("simpleFlag"))() is True


def test_a_token_callable_that_evaluates_a_flag_gets_the_default(
    make, within_time, caplog
):
    """The callable runs on a thread that the request waits for."""
    answers = []

    def token():
        answers.append(flags.is_enabled("simpleFlag"))
        return "a-token"

    flags = make(api_token=token, start_timeout=3600, request_timeout=3600)
    within_time(flags.start)

    assert [False] == answers
    assert "no flags within" not in caplog.text
    assert flags.wrap(lambda: flags.is_enabled("simpleFlag"))() is True


def test_a_plugin_evaluates_while_another_thread_waits_to_connect(
    make, cloud, within_time
):
    """Neither thread blocks the other."""
    connecting, second = threading.Event(), threading.Event()

    class Asking(cloud):
        @hookimpl
        def connect_instance(self, at):
            if at == "first_invocation":
                connecting.set()
                second.wait(1)
                flags.is_enabled("simpleFlag")
            return True

    flags = make(Asking())

    def other():
        connecting.wait(WAIT)
        second.set()
        with flags.invocation():
            pass

    thread = threading.Thread(target=other, daemon=True)
    thread.start()

    def first():
        with flags.invocation():
            return True

    assert within_time(first) is True
    thread.join(WAIT)
    assert not thread.is_alive()


def test_a_plugin_that_evaluates_while_the_platform_is_detected(server, within_time):
    """Discovery is re-entered by the same thread and does not block."""

    class Asking:
        name = "asking"

        @hookimpl
        def detect_platform(self, environ):
            flags.is_enabled("simpleFlag")

    flags = FlagSession(url=server.url, api_token="a", plugins=[Asking()])

    def wrap_and_call():
        return flags.wrap(lambda: 1)()

    answer = within_time(wrap_and_call)
    flags.close(WAIT)

    assert 1 == answer


def test_a_context_callback_that_evaluates_a_flag_gets_no_context(make, server):
    """The callback is not called again for its own evaluation."""
    calls = []

    def context(_invocation):
        calls.append(1)
        return {"userId": "7" if flags.is_enabled("simpleFlag") else "8"}

    flags = make(context=context)
    flags.wrap(lambda: flags.is_enabled("simpleFlag"))()
    flags.flush(WAIT)

    assert [1] == calls
    assert 2 == server.counted()
