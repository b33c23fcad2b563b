"""Exceptions that a platform's runtime raises into functions, out of callbacks too."""

from __future__ import annotations

import asyncio

import pytest

from serverless_flags import Invocation

OLD = 61.0
"""Seconds after which an invocation waits for a refresh."""


class OvertimeError(Exception):
    """What a framework raises into a request that takes too long."""


@pytest.fixture(name="begin", params=["sync", "async"])
def _begin(request):
    """Return what runs a callback inside an invocation, on either kind of way."""

    def begin(flags, ask, user):
        if request.param == "sync":
            with flags.invocation(user):
                return ask()

        async def main():
            async with flags.invocation(user):
                return ask()

        return asyncio.run(main())

    return begin


class TestPassing:
    """Exceptions that the platform's runtime raises pass out of callbacks too."""

    @pytest.fixture(name="let_pass")
    def _let_pass(self, monkeypatch):
        name = f"{OvertimeError.__module__}.{OvertimeError.__qualname__}"
        monkeypatch.setattr("serverless_flags._passing._names", frozenset({name}))

    @pytest.mark.parametrize("where", ["callback", "adapter", "remaining_time"])
    def test_they_reach_the_caller(
        self, make, cloud, clock, begin, raising, let_pass, where
    ) -> None:
        """Whatever the session was asking for when they came."""
        platform = cloud()
        settings = {"context": raising(OvertimeError)} if where == "callback" else {}
        flags = make(platform, **settings)
        flags.start()
        clock.advance(OLD)
        told = {"context": raising(OvertimeError)} if where == "adapter" else {}
        if where == "remaining_time":
            told = {"remaining_time": raising(OvertimeError)}
        platform.invocations.append(Invocation(**told))
        with pytest.raises(OvertimeError):
            begin(flags, lambda: flags.is_enabled("simpleFlag"), "alice")

        assert flags._core.scope.get() is None

    def test_others_cost_what_was_asked_for(
        self, make, cloud, clock, begin, raising, let_pass, caplog
    ) -> None:
        """A fault of the adapter's is logged once, and the function runs."""
        platform = cloud()
        flags = make(platform)
        flags.start()
        for _ in range(2):
            clock.advance(OLD)
            platform.invocations.append(
                Invocation(
                    remaining_time=raising(ValueError), context=raising(ValueError)
                )
            )
            assert begin(flags, lambda: flags.is_enabled("simpleFlag"), "a") is True

        assert 1 == caplog.text.count("the remaining time of an invocation")
        assert 1 == caplog.text.count("no evaluation context")
