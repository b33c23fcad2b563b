"""What callbacks, adapters and callers may return as an evaluation context."""

from __future__ import annotations

import asyncio
import gc
import logging
from types import MappingProxyType

import pytest

from serverless_flags import Invocation


async def _choose_async(invocation=None):
    return {"userId": "alice"}


ODD = {
    "None": lambda *_: None,
    "a text": lambda *_: "7",
    "a number": lambda *_: 7,
    "a list": lambda *_: ["userId"],
    "an object": lambda *_: object(),
    "a coroutine": _choose_async,
}
odd = pytest.mark.parametrize("answer", ODD.values(), ids=ODD.keys())


@pytest.fixture(name="new", params=["lean", "unleash"])
def _new(request, make, server):
    """Return a function that makes a session with a flag that is on only for alice."""
    server.flags = {"alice": ["alice"], "all": True}

    def new(platform=None, **settings):
        flags = make(platform, client=request.param, **settings)
        flags.start()
        return flags

    return new


@pytest.fixture(name="ask", params=["is_enabled", "get_variant"])
def _ask(request):
    """Return a function that evaluates a flag by either method."""

    def ask(flags, name, context=None):
        if request.param == "is_enabled":
            return flags.is_enabled(name, context)
        return flags.get_variant(name, context)["feature_enabled"]

    return ask


def _warnings(caplog):
    gc.collect()  # a coroutine that was not awaited warns when collected
    return [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]


class TestOfInvocations:
    """An unusable context of an invocation: the flag is evaluated without it."""

    @odd
    def test_from_the_callback(self, new, ask, caplog, answer) -> None:
        """One warning names the type, however many invocations follow."""
        flags = new(context=answer)
        caplog.clear()
        saw = []
        for _ in range(3):
            with flags.invocation():
                saw.append((ask(flags, "all"), ask(flags, "alice")))
        (warning,) = _warnings(caplog)

        assert [(True, False)] * 3 == saw
        assert "the result of the context callback is not a mapping" in warning

    @odd
    def test_from_the_adapter(self, new, cloud, ask, caplog, answer) -> None:
        """Whether the context is a mapping or a callable."""
        platform = cloud()
        flags = new(platform)
        caplog.clear()
        given = answer() if answer is not _choose_async else answer
        platform.invocations = [
            Invocation(context=answer),
            Invocation(context=answer if callable(given) else given),
        ]
        saw = []
        for _ in range(2):
            with flags.invocation():
                saw.append((ask(flags, "all"), ask(flags, "alice")))
        (warning,) = _warnings(caplog)

        assert [(True, False)] * 2 == saw
        assert "the adapter's evaluation context is not a mapping" in warning

    @odd
    def test_from_the_invocation_call(self, new, ask, caplog, answer) -> None:
        """The adapter's context still applies."""
        flags = new(context=lambda invocation: {"userId": "alice"})
        caplog.clear()
        given = answer()
        with flags.invocation(context=given):
            saw = ask(flags, "all"), ask(flags, "alice")

        assert (True, True) == saw
        if given is None:
            assert [] == _warnings(caplog)
        else:
            (warning,) = _warnings(caplog)
            assert "invocation(context=...) is not a mapping" in warning

    @pytest.mark.parametrize("properties", [None, "pro", 7, ["plan"]])
    def test_unusable_properties(self, new, ask, caplog, properties) -> None:
        """They are left out without a warning: users of UnleashClient pass None."""
        context = {"userId": "alice", "properties": properties}
        flags = new(context=lambda invocation: context)
        caplog.clear()
        with flags.invocation():
            saw = ask(flags, "alice"), ask(flags, "alice", {"properties": {"a": "b"}})

        assert (True, True) == saw
        assert [] == _warnings(caplog)

    def test_on_a_loop(self, new, ask, caplog) -> None:
        """A coroutine is closed there too, and is not awaited."""
        flags = new(context=_choose_async)
        caplog.clear()

        @flags.wrap
        async def handler() -> tuple[bool, bool]:
            return ask(flags, "all"), ask(flags, "alice")

        assert (True, False) == asyncio.run(handler())
        assert 1 == len(_warnings(caplog))

    def test_mappings_of_any_kind(self, new, ask) -> None:
        """Neither the context nor its properties need to be a dict."""
        inner = MappingProxyType({"plan": "pro"})
        given = MappingProxyType({"userId": "alice", "properties": inner})
        flags = new(context=lambda invocation: given)
        with flags.invocation(context=MappingProxyType({"sessionId": "7"})):
            assert ask(flags, "alice", {"properties": {"plan": "free"}}) is True


class TestOfCallers:
    """The ``context`` argument of an evaluation inside an invocation."""

    @pytest.mark.parametrize("given", ["7", 7, ["userId"], object(), [(1, 2, 3)]])
    def test_a_wrong_type(self, new, ask, caplog, given) -> None:
        """The flag is evaluated with the invocation's own context; one warning."""
        flags = new(context=lambda invocation: {"userId": "alice"})
        caplog.clear()
        with flags.invocation():
            saw = [ask(flags, "alice", given) for _ in range(3)]
        (warning,) = _warnings(caplog)

        assert [True] * 3 == saw
        assert "the context of an evaluation is not a mapping" in warning

    @pytest.mark.parametrize("given", [None, {}, [], ""])
    def test_no_context_is_no_mistake(self, new, ask, caplog, given) -> None:
        """UnleashClient accepts the same values for no context."""
        flags = new(context=lambda invocation: {"userId": "alice"})
        caplog.clear()
        with flags.invocation():
            assert ask(flags, "alice", given) is True
        assert [] == _warnings(caplog)

    def test_the_callers_context_is_not_changed(self, new, ask) -> None:
        """Neither the dict nor the values in it."""
        given = {"plan": "pro", "properties": {"region": "eu"}}
        below = {"region": "us", "properties": {"plan": "free", "kind": "test"}}
        flags = new(context=lambda invocation: below)
        with flags.invocation():
            ask(flags, "alice", given)
            ask(flags, "alice", given)

        assert {"plan": "pro", "properties": {"region": "eu"}} == given
        expected = {"region": "us", "properties": {"plan": "free", "kind": "test"}}
        assert expected == below
