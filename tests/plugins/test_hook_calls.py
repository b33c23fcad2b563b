"""How hooks are called: with the arguments they name; failures do not propagate."""

from __future__ import annotations

import logging
from types import SimpleNamespace

import pytest

from serverless_flags import Invocation, Platform, hookimpl
from serverless_flags._plugins.dispatch import Plugins
from serverless_flags.platform import Local

SESSION = "the session"


def test_an_implementation_may_take_fewer_arguments() -> None:
    """So arguments can be added later; arguments with defaults are not passed."""
    received = []

    class Cloud(Platform):
        @hookimpl
        def after_flush(self, seconds, mine="default"):
            received.append((seconds, mine))

        @hookimpl
        def connect_instance(self):
            return True

    plugins = Plugins(Cloud(), [], lambda: SESSION)
    plugins.after_flush("taken", 0.5)

    assert plugins.connect_instance("wrap")
    assert [(0.5, "default")] == received


def test_a_hook_of_the_hot_path_may_take_fewer_arguments() -> None:
    """All, some in any order, or none: each gets the arguments it names."""
    received = []

    class Cloud(Platform):
        @hookimpl
        def read_invocation(self, kwargs, args):
            received.append((args, kwargs))

        @hookimpl
        def begin_invocation(self):
            received.append("begin")

        @hookimpl
        def end_invocation(self, invocation):
            received.append(invocation.id)

    class Observer:
        @hookimpl
        def read_invocation(self, args):
            received.append(args)

    plugins = Plugins(Cloud(), [("observer", Observer())], lambda: SESSION)
    plugins.read_invocation((1,), {"a": 2})
    plugins.begin_invocation(Invocation(id="7"))
    plugins.end_invocation(Invocation(id="7"))

    assert [((1,), {"a": 2}), (1,), "begin", "7"] == received


def test_a_platform_without_hooks_costs_nothing() -> None:
    """A hook without an implementation returns the default."""
    plugins = Plugins(Local(), [], lambda: SESSION)
    plugins.prepare_function(len, print)
    plugins.begin_invocation(Invocation())
    plugins.end_invocation(Invocation())
    plugins.after_refresh("failed", 0.0)
    plugins.after_flush("kept", 0.0)
    plugins.disconnect_instance("close")

    assert (False, "") == plugins.connect_instance("wrap")
    assert Invocation() == plugins.read_invocation((), {})


def test_a_failure_is_logged_once(calls, caplog) -> None:
    """The first time with its traceback, later at level DEBUG."""
    caplog.set_level(logging.DEBUG)
    plugins, *_ = calls({"begin_invocation": OSError("the disk")})
    for _ in range(3):
        plugins.begin_invocation(Invocation())
    levels = [record.levelno for record in caplog.records]

    assert [logging.WARNING, logging.DEBUG, logging.DEBUG] == levels
    assert "OSError: the disk" in caplog.text
    assert {"serverless_flags"} == {record.name for record in caplog.records}


def test_a_base_exception_propagates(calls) -> None:
    """An exception that ends the process is not caught."""

    class Stop(Platform):
        @hookimpl
        def begin_invocation(self):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Plugins(Stop(), [], lambda: SESSION).begin_invocation(Invocation())


def test_an_observer_may_be_any_object() -> None:
    """An object, a class or a module: whatever has marked functions."""
    received = []

    def after_refresh(outcome: str) -> None:
        received.append(outcome)

    namespace = SimpleNamespace(after_refresh=hookimpl(after_refresh))
    plugins = Plugins(Local(), [("log", namespace)], lambda: SESSION)
    plugins.after_refresh("changed", 0.0)

    assert ["changed"] == received
