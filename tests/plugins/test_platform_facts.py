"""A platform is facts, and an invocation what the platform says of it."""

from __future__ import annotations

import pytest

from serverless_flags import Invocation, Platform
from serverless_flags.platform import Local


def test_the_defaults_promise_nothing() -> None:
    """What an adapter does not state is what is safe: a freeze, no fork, 1 second."""
    platform = Platform()

    assert ("local", 0, None) == (
        platform.name,
        platform.specificity,
        platform.function_name,
    )
    assert not any(
        [
            platform.runs_between_invocations,
            platform.starts_client_at_wrap,
            platform.will_fork,
            platform.ends_in_order,
        ]
    )
    assert platform.awaits_handlers
    assert 1.0 == platform.shutdown_grace


def test_local_ends_in_order() -> None:
    """Without a platform the interpreter's exit is the end, and threads run on."""
    local = Local()

    assert local.ends_in_order
    assert local.runs_between_invocations
    assert "<Local local>" == repr(local)


def test_a_platform_shows_its_name() -> None:
    """In a log it is its class and its word."""

    class Cloud(Platform):
        name = "my_cloud"

    assert "<Cloud my_cloud>" == repr(Cloud())


def test_an_invocation_invents_nothing() -> None:
    """What the platform does not say is None or empty, and nobody changes it."""
    invocation = Invocation()

    assert (None, None, {}, (), {}) == invocation
    with pytest.raises(AttributeError):
        invocation.id = "1"
    with pytest.raises(TypeError):
        invocation.context["userId"] = "7"
