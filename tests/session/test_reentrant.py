"""Failing: questions on threads that the start, the discovery or a connection needs."""

from __future__ import annotations

import threading
import time

import pytest

from serverless_flags import FlagSession, hookimpl

WAIT = 8.0


@pytest.fixture(name="within_time")
def _within_time():
    def within_time(call):
        answers = []
        thread = threading.Thread(target=lambda: answers.append(call()), daemon=True)
        thread.start()
        thread.join(WAIT)
        assert answers, "it waits for itself"
        return answers[0]

    return within_time


def test_an_observer_of_the_first_refresh_gets_the_default_at_once(
    make, server, cloud, until, caplog
):
    """It runs on the request's thread, which the start waits for."""
    saw = []

    class Asking(cloud):
        @hookimpl
        def after_refresh(self, outcome: str) -> None:
            saw.append(flags.is_enabled("simpleFlag"))

    server.answers.clear()
    flags = make(Asking(), start_timeout=3)

    def loaded():
        parts = flags._instance.parts
        return parts is not None and parts.refresher._client is not None

    threading.Thread(
        target=lambda: (until(loaded), time.sleep(0.1), server.answers.set())
    ).start()
    began = time.monotonic()
    flags.start()
    assert time.monotonic() - began < 2
    assert "no flags within" not in caplog.text


def test_a_token_callable_that_asks_a_flag(make, server, within_time, caplog):
    """It runs on the request's thread, which the start waits for."""

    def token():
        flags.is_enabled("simpleFlag")
        return "a-token"

    flags = make(api_token=token, start_timeout=3)
    began = time.monotonic()
    within_time(flags.start)
    assert time.monotonic() - began < 2
    assert flags.wrap(lambda: flags.is_enabled("simpleFlag"))() is True


def test_a_plugin_asks_while_another_thread_comes_to_connect(make, cloud, within_time):
    """Instance._connecting is one slot: the second thread overwrites the first one's."""
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
        connecting.wait(5)
        with flags.invocation():
            pass

    thread = threading.Thread(target=other, daemon=True)
    thread.start()

    def first():
        with flags.invocation():
            return True

    threading.Timer(0.5, second.set).start()
    assert within_time(first) is True


def test_a_plugin_that_asks_while_the_platform_is_detected(server, within_time):
    """FlagSession._discovering is a plain lock, taken again by the same thread."""

    class Asking:
        name = "asking"

        @hookimpl
        def detect_platform(self, environ):
            flags.is_enabled("simpleFlag")

    flags = FlagSession(url=server.url, api_token="a", plugins=[Asking()])
    assert within_time(lambda: flags.wrap(lambda: 1)()) == 1


def test_a_context_callback_that_asks(make, server, within_time, caplog):
    flags = make(
        context=lambda invocation: {
            "userId": "7" if flags.is_enabled("simpleFlag") else "8"
        }
    )
    handler = flags.wrap(lambda: flags.is_enabled("simpleFlag"))
    handler()
    assert flags.flush(5)
    assert server.counted() <= 2
