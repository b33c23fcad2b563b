"""The properties and invocations of the platform, without a runtime."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock, Mock

import pytest

from serverless_flags_aws_lambda import detect_platform
from serverless_flags_aws_lambda._platform import AwsLambda

ENVIRON = {"AWS_LAMBDA_RUNTIME_API": "127.0.0.1:9001", "AWS_LAMBDA_FUNCTION_NAME": "f"}


@pytest.fixture(name="platform")
def _platform() -> AwsLambda:
    """Return the platform of an on-demand instance."""
    return AwsLambda(ENVIRON)


def test_facts() -> None:
    """An on-demand instance has these properties."""
    platform = detect_platform(ENVIRON)

    assert platform is not None
    assert (platform.name, platform.function_name) == ("aws_lambda", "f")
    assert platform.starts_client_at_wrap
    assert not platform.awaits_handlers
    assert not platform.will_fork
    assert not platform.runs_between_invocations


@pytest.mark.parametrize(
    "extra",
    [
        {"AWS_LAMBDA_INITIALIZATION_TYPE": "lambda-managed-instances"},
        {"AWS_LAMBDA_MAX_CONCURRENCY": "16"},
    ],
)
def test_managed_instances_run_between_invocations(extra: dict[str, str]) -> None:
    """Only Managed Instances are never frozen."""
    platform = detect_platform({**ENVIRON, **extra})

    assert platform is not None
    assert platform.runs_between_invocations


def test_invocation(platform: AwsLambda) -> None:
    """The context has the id and the remaining time; the event is read on demand."""
    event = {"requestContext": {"http": {"sourceIp": "192.0.2.1", "method": "GET"}}}
    context = SimpleNamespace(
        aws_request_id="id", get_remaining_time_in_millis=lambda: 1500
    )
    invocation = platform.read_invocation((event, context), {})

    assert invocation.id == "id"
    assert invocation.remaining_time is not None
    assert invocation.remaining_time() == 1.5
    assert callable(invocation.context)
    assert invocation.context() == {
        "remoteAddress": "192.0.2.1",
        "properties": {"method": "GET"},
    }


@pytest.mark.parametrize(
    ("args", "kwargs"),
    [
        ((), {}),
        (({},), {}),
        ((None, None), {}),
        (("text", {}), {}),
        ((object(), {}, None), {}),
        ((), {"event": [], "context": None}),
        ((), {"other": 1}),
    ],
)
def test_invocation_of_a_unit_test(
    platform: AwsLambda, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> None:
    """A handler may be called with anything, and without a context."""
    invocation = platform.read_invocation(args, kwargs)

    assert invocation.id is None
    assert invocation.remaining_time is None
    assert callable(invocation.context)
    assert invocation.context() == {}


def test_invocation_of_a_method(platform: AwsLambda) -> None:
    """A handler that is a method has its event and context after ``self``."""
    context = SimpleNamespace(aws_request_id="id")
    event = {"requestContext": {"http": {"sourceIp": "192.0.2.1"}}}
    invocation = platform.read_invocation((object(), event, context), {})

    assert invocation.id == "id"
    assert callable(invocation.context)
    assert invocation.context() == {"remoteAddress": "192.0.2.1"}


def test_invocation_by_keywords(platform: AwsLambda) -> None:
    """The event and the context may be keyword arguments."""
    context = SimpleNamespace(aws_request_id="id")
    event = {"requestContext": {"http": {"sourceIp": "192.0.2.1"}}}
    invocation = platform.read_invocation((), {"event": event, "context": context})

    assert invocation.id == "id"
    assert callable(invocation.context)
    assert invocation.context() == {"remoteAddress": "192.0.2.1"}


@pytest.mark.parametrize("context", [Mock(), MagicMock()])
def test_mocked_context(platform: AwsLambda, context: Mock) -> None:
    """A mocked context means no time limit."""
    invocation = platform.read_invocation(({}, context), {})

    assert invocation.id is None
    assert invocation.remaining_time is not None
    assert invocation.remaining_time() == math.inf
