"""The event and the context are found at any position among the arguments."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import pytest

from serverless_flags_aws_lambda._platform import AwsLambda

EVENT = {
    "requestContext": {"http": {"sourceIp": "192.0.2.1", "method": "GET"}},
    "rawPath": "/x",
}
CONTEXT = SimpleNamespace(aws_request_id="id", get_remaining_time_in_millis=lambda: 1)
SELF, DB = object(), SimpleNamespace(name="db")


@pytest.fixture(name="platform")
def _platform() -> AwsLambda:
    environ = {"AWS_LAMBDA_RUNTIME_API": "a:1", "AWS_LAMBDA_FUNCTION_NAME": "f"}
    return AwsLambda(environ)


@pytest.mark.parametrize(
    ("args", "kwargs"),
    [
        ((EVENT, CONTEXT), {}),
        ((EVENT, CONTEXT, DB), {}),
        ((EVENT, CONTEXT, DB, None, 7), {"more": DB}),
        ((SELF, EVENT, CONTEXT), {}),
        ((SELF, EVENT, CONTEXT, DB), {}),
        ((EVENT, CONTEXT), {"db": DB}),
        ((EVENT,), {"context": CONTEXT}),
        ((EVENT,), {"db": DB, "lambda_context": CONTEXT}),
        ((SELF, EVENT), {"context": CONTEXT}),
        ((SELF,), {"event": EVENT, "context": CONTEXT}),
        ((), {"event": EVENT, "context": CONTEXT}),
        ((), {"context": CONTEXT, "event": EVENT, "db": DB}),
        ((), {"request": EVENT, "ctx": CONTEXT, "db": DB}),
        ((), {"ctx": CONTEXT, "request": EVENT}),
        ((CONTEXT, EVENT), {}),
        ((EVENT, CONTEXT, Mock()), {}),
        ((EVENT, CONTEXT), {"db": Mock()}),
    ],
)
def test_event_and_context_are_found(
    platform: AwsLambda, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> None:
    """The id, the remaining time and the address are read for every signature."""
    invocation = platform.read_invocation(args, kwargs)

    assert invocation.id == "id"
    assert invocation.remaining_time is not None
    assert invocation.remaining_time() == 0.001
    assert callable(invocation.context)
    assert invocation.context()["remoteAddress"] == "192.0.2.1"


@pytest.mark.parametrize(
    ("args", "kwargs"),
    [
        ((EVENT,), {}),
        ((SELF, EVENT), {}),
        ((EVENT, None), {}),
        ((EVENT, None, DB), {}),
        ((SELF, EVENT, {}), {}),
        ((), {"evt": EVENT}),
    ],
)
def test_an_event_is_read_without_a_context(
    platform: AwsLambda, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> None:
    """The event is read even if there is no context, as in a unit test."""
    invocation = platform.read_invocation(args, kwargs)

    assert invocation.id is None
    assert invocation.remaining_time is None
    assert callable(invocation.context)
    assert invocation.context()["remoteAddress"] == "192.0.2.1"


def test_the_event_before_the_context_comes_first(platform: AwsLambda) -> None:
    """Of two requests among the arguments, the one before the context is read."""
    other = {"requestContext": {"http": {"sourceIp": "203.0.113.9"}}}

    invocation = platform.read_invocation((other, EVENT, CONTEXT, other), {})

    assert callable(invocation.context)
    assert invocation.context()["remoteAddress"] == "192.0.2.1"


def test_only_a_few_arguments_are_looked_at(platform: AwsLambda) -> None:
    """The number of inspected arguments is bounded."""
    many = platform.read_invocation((*range(100), EVENT, CONTEXT), {})

    assert many.id is None
    assert callable(many.context)
    assert many.context() == {}
