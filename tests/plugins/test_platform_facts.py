"""The facts of a platform, and its description of an invocation."""

from __future__ import annotations

import pytest

from serverless_flags import Invocation, Platform
from serverless_flags.platform import Local


def test_the_defaults_are_the_safe_ones() -> None:
    """Facts that an adapter does not set: it freezes, does not fork, 1 s of grace."""
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
    """Without a platform the process ends at interpreter exit, and threads go on."""
    local = Local()

    assert local.ends_in_order
    assert local.runs_between_invocations
    assert "<Local local>" == repr(local)


def test_a_platform_shows_its_name() -> None:
    """In a log it appears as its class and its name."""

    class Cloud(Platform):
        name = "my_cloud"

    assert "<Cloud my_cloud>" == repr(Cloud())


def test_an_empty_invocation() -> None:
    """Unknown fields are None or empty, and cannot be changed."""
    invocation = Invocation()

    assert (None, None, {}, (), {}) == invocation
    with pytest.raises(AttributeError):
        invocation.id = "1"
    with pytest.raises(TypeError):
        invocation.context["userId"] = "7"
