"""What cannot be wrapped is refused at once, with a message that says what to write."""

from __future__ import annotations

import functools

import pytest


async def _coroutine() -> None: ...


def _make_coroutine():
    coroutine = _coroutine()
    coroutine.close()
    return coroutine


class _Handler:
    def __call__(self, event: object) -> str:
        return "answer"


@pytest.mark.parametrize(
    ("what", "cure"),
    [
        (_Handler, r"not the class _Handler: wrap an instance of it .*_Handler\(\)"),
        (dict, "not the class dict: wrap an instance"),
        (None, "not NoneType: does a decorator below @flags.wrap return nothing?"),
        ("handler", "not str$"),
        (7, "not int$"),
        (classmethod(lambda cls: None), "write @classmethod above @flags.wrap"),
        (property(lambda self: None), "write @property above @flags.wrap"),
        (functools.partialmethod(print), "wrap the function and create the pa"),
        (_make_coroutine(), "not coroutine: give it the function itself, without"),
        ((one for one in ()), "not generator: give it the function itself"),
    ],
)
def test_the_message_names_the_cure(flags, what, cure):
    """The message says what to write instead."""
    with pytest.raises(TypeError, match=cure):
        flags.wrap(what)


def test_an_instance_and_a_method_are_the_cures_for_a_class(flags):
    """The cure in the message works, and the class stays a class."""

    class Derived(_Handler):
        @flags.wrap
        def __call__(self, event: object) -> str:
            return super().__call__(event)

    assert "answer" == flags.wrap(_Handler())({}) == Derived()({})


def test_class_and_static_methods_above_work(flags):
    """The decorators of methods stand above, as the messages say."""

    class Handlers:
        @classmethod
        @flags.wrap
        def of_class(cls, user: str) -> str:
            return cls.__name__

        @staticmethod
        @flags.wrap
        def static(user: str) -> str | None:
            return flags.ask()

    assert "Handlers" == Handlers.of_class("alice") == Handlers().of_class("alice")
    assert "alice" == Handlers.static("alice") == Handlers().static("alice")


def test_parentheses_are_refused_with_the_cure(flags):
    """`wrap` has no options."""
    with pytest.raises(TypeError, match=r"write @flags\.wrap, without parentheses"):
        flags.wrap()
