"""Exceptions that the runtime raises in a function propagate out of callbacks too."""

from __future__ import annotations

import asyncio

import pytest

from serverless_flags import Invocation

OLD = 61.0
"""Seconds after which an invocation waits for a refresh."""


class OvertimeError(Exception):
    """An exception that a framework raises in a request that takes too long."""


@pytest.fixture(name="begin", params=["sync", "async"])
def _begin(request):
    """Return a function that runs a callback inside a sync or an async invocation."""

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
    """The platform's ``passing_exceptions`` propagate out of callbacks."""

    @pytest.fixture(name="let_pass")
    def _let_pass(self, monkeypatch):
        name = f"{OvertimeError.__module__}.{OvertimeError.__qualname__}"
        monkeypatch.setattr("serverless_flags._passing._names", frozenset({name}))

    @pytest.mark.parametrize("where", ["callback", "adapter", "remaining_time"])
    def test_they_reach_the_caller(
        self, make, cloud, clock, begin, raising, let_pass, where
    ) -> None:
        """Whichever callable the session was calling when they were raised."""
        platform = cloud()
        settings = {"context": raising(OvertimeError)} if where == "callback" else {}
        flags = make(platform, **settings)
        flags.start()
        clock.advance(OLD)
        fields = {"context": raising(OvertimeError)} if where == "adapter" else {}
        if where == "remaining_time":
            fields = {"remaining_time": raising(OvertimeError)}
        platform.invocations.append(Invocation(**fields))
        with pytest.raises(OvertimeError):
            begin(flags, lambda: flags.is_enabled("simpleFlag"), "alice")

        assert flags._core.scope.get() is None

    def test_other_exceptions_are_logged(
        self, make, cloud, clock, begin, raising, let_pass, caplog
    ) -> None:
        """A failure of the adapter is logged once, and the function runs."""
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
