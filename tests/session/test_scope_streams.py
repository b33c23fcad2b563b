"""Invocations that end in another order, thread or context than they began in."""

from __future__ import annotations

import contextvars
import gc
from concurrent.futures import ThreadPoolExecutor

import pytest

from serverless_flags import FlagSession, State

WAIT = 20.0
"""Seconds; a bound against hanging only."""


@pytest.fixture(name="flags", params=["lean", "unleash"])
def _flags(request, make, server):
    """Return a started session with a flag for each of two users."""
    server.flags = {"alice": ["alice"], "bob": ["bob"], "all": True}
    flags = make(client=request.param)
    flags.start()
    return flags


@pytest.fixture(name="body")
def _body(flags):
    """Return a function that makes a body that evaluates a user's flag at each step."""

    def body(user, ask=None):
        with flags.invocation(context={"userId": user}) as here:
            while True:
                if ask == "session":
                    yield flags.is_enabled(user)
                elif ask == "variant":
                    yield here.get_variant(user)["feature_enabled"]
                else:
                    yield here.is_enabled(user)

    return body


def _sees(flags) -> str:
    """Return whose flags are on in the current context."""
    on = [user for user in ("alice", "bob") if flags.is_enabled(user)]
    return " and ".join(on) or "no user"


def _in_thread(call):
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(call).result(WAIT)


class TestSteps:
    """A streamed body whose steps run in any context or thread."""

    @pytest.mark.parametrize("ask", ["invocation", "variant", "session"])
    def test_all_in_one_context(self, body, ask) -> None:
        """There the session itself knows whose body it is."""
        steps = body("alice", ask)

        assert [True] * 3 == [next(steps) for _ in range(3)]

    @pytest.mark.parametrize("ask", ["invocation", "variant"])
    @pytest.mark.parametrize("where", ["copies", "threads", "copies on threads"])
    def test_each_somewhere_else(self, body, where, ask) -> None:
        """The invocation itself evaluates the flags of its user."""

        def step() -> bool:
            if where == "threads":
                return _in_thread(lambda: next(steps))
            context = contextvars.copy_context()
            if where == "copies":
                return context.run(next, steps)
            return _in_thread(lambda: context.run(next, steps))

        steps = body("alice", ask)

        assert [True] * 4 == [step() for _ in range(4)]

    def test_two_bodies_on_many_threads(self, body) -> None:
        """No body gets the context of the other."""
        alice, bob = body("alice"), body("bob")
        saw = [
            (_in_thread(lambda: next(alice)), _in_thread(lambda: next(bob)))
            for _ in range(4)
        ]

        assert [(True, True)] * 4 == saw

    def test_the_callers_context_wins(self, flags) -> None:
        """As in an evaluation by the session."""
        with flags.invocation(context={"userId": "alice"}) as here:
            answers = (
                here.is_enabled("bob", {"userId": "bob"}),
                here.get_variant("bob", {"userId": "bob"})["feature_enabled"],
                here.is_enabled("none", None, lambda name, context: True),
            )

        assert (True, True, True) == answers

    def test_evaluations_are_counted(self, flags, body, server) -> None:
        """In whichever thread they are made."""
        steps = body("alice")
        for _ in range(3):
            contextvars.copy_context().run(next, steps)
        assert flags.flush(WAIT)

        assert 3 == server.counted("alice")

    def test_an_invocation_evaluates_after_its_end(self, flags, body) -> None:
        """Code that still has the object gets the flags of its user."""
        with flags.invocation(context={"userId": "alice"}) as here:
            pass

        assert here.is_enabled("alice") is True
        assert here.is_enabled("bob") is False

    def test_without_flags_it_serves_the_default(self) -> None:
        """As the session does."""
        flags = FlagSession(plugins=[])
        flags.close()
        with flags.invocation() as here:
            assert here.is_enabled("all") is False
            assert here.get_variant("all")["enabled"] is False
        assert State.CLOSED is flags.status.state


class TestEnded:
    """An invocation that has ended no longer applies."""

    @pytest.mark.parametrize("last", ["alice", "bob"])
    @pytest.mark.parametrize("how", ["closed", "collected", "raised into"])
    def test_bodies_served_in_turn(self, flags, body, last, how) -> None:
        """The body that ends last does not restore the context of the other."""
        bodies = {"alice": body("alice"), "bob": body("bob")}
        assert [True, True] == [next(bodies[user]) for user in bodies]
        first = ({"alice", "bob"} - {last}).pop()
        for user in (first, last):
            if how == "closed":
                bodies[user].close()
            elif how == "collected":
                del bodies[user]
                gc.collect()
            else:
                with pytest.raises(LookupError):
                    bodies[user].throw(LookupError)

        assert "no user" == _sees(flags)
        with flags.invocation():
            assert "no user" == _sees(flags)

    def test_inside_an_invocation_that_continues(self, flags, body) -> None:
        """After the bodies have ended in turn, the outer invocation applies again."""
        with flags.invocation(context={"userId": "bob"}):
            bodies = [body("alice", "session") for _ in range(3)]
            for each in bodies:
                next(each)
            for each in bodies:
                each.close()

            assert "bob" == _sees(flags)
        assert "no user" == _sees(flags)

    def test_the_outer_one_ends_first(self, flags) -> None:
        """The inner one applies until it ends, and then none does."""
        outer = flags.invocation(context={"userId": "alice"})
        inner = flags.invocation(context={"sessionId": "7"})
        outer.__enter__()
        inner.__enter__()
        outer.__exit__(None, None, None)
        during = _sees(flags)
        inner.__exit__(None, None, None)

        assert "alice" == during
        assert "no user" == _sees(flags)

    def test_an_invocation_inside_an_ended_one_is_independent(
        self, flags, body
    ) -> None:
        """A copied context may still hold an invocation that has ended."""
        with flags.invocation(context={"userId": "alice"}):
            context = contextvars.copy_context()

        def next_one() -> tuple[str, bool]:
            with flags.invocation() as here:
                return _sees(flags), here._joined is None

        assert ("no user", True) == context.run(next_one)

    def test_an_invocation_that_begins_in_the_copy_of_a_nested_one(self, flags) -> None:
        """It joins the innermost invocation that is still open."""
        with flags.invocation(context={"userId": "alice"}) as outer:
            with flags.invocation(context={"sessionId": "7"}):
                context = contextvars.copy_context()

            def joins() -> bool:
                with flags.invocation() as here:
                    return here._joined is outer and _sees(flags) == "alice"

            assert context.run(joins)

    @pytest.mark.parametrize("where", ["copy", "thread"])
    def test_left_in_a_context_where_it_was_not_entered(self, flags, where) -> None:
        """Leaving it in another context ends it everywhere."""
        scope = flags.invocation(context={"userId": "alice"})
        scope.__enter__()

        def leave() -> str:
            scope.__exit__(None, None, None)
            return _sees(flags)

        if where == "copy":
            elsewhere = contextvars.copy_context().run(leave)
        else:
            elsewhere = _in_thread(leave)

        assert "no user" == elsewhere
        assert "no user" == _sees(flags)
