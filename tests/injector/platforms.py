"""The platforms whose functions are interrupted, and how they call a function."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, NamedTuple

from world import ADDRESSES, Named

from serverless_flags import Invocation, Platform, hookimpl

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


class Runtime(NamedTuple):
    """What a platform gives a process and a function."""

    environ: dict[str, str]
    settings: Callable[..., dict[str, Any]]
    """Returns settings of the session; called with ``awaits``."""
    arguments: Callable[[str], tuple[Any, ...]]
    """Returns the arguments of the function, for a user."""


class Cloud(Platform):
    """A platform that freezes, with every hook that invocations call."""

    name = "injected"
    specificity = 1
    passing_exceptions = (f"{Named.__module__}.{Named.__qualname__}",)

    def __init__(self, *, awaits: bool) -> None:
        self.awaits_handlers = awaits

    @hookimpl
    def detect_platform(self) -> Platform:
        return self

    @hookimpl
    def connect_instance(self) -> bool:
        return True

    @hookimpl
    def read_invocation(
        self, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> Invocation:
        address = args[0]
        return Invocation("an-id", lambda: 30.0, lambda: {"remoteAddress": address})

    @hookimpl
    def begin_invocation(self, invocation: Invocation) -> None:
        """Do nothing."""

    @hookimpl
    def wait_after_response(self, invocation: Invocation) -> bool:
        return False

    @hookimpl
    def end_invocation(self, invocation: Invocation) -> None:
        """Do nothing."""

    @hookimpl
    def after_refresh(self, outcome: str) -> None:
        """Do nothing."""

    @hookimpl
    def after_flush(self, outcome: str) -> None:
        """Do nothing."""


def platform_named(name: str, port: int) -> Runtime:
    """
    Return the runtime of a platform.

    Args:
        name: the platform's name.
        port: the port of AWS Lambda's Extensions API on loopback.
    """
    if name == "local":
        return Runtime({}, _local, lambda user: (ADDRESSES[user],))
    if name == "cloud":
        return Runtime({}, _cloud, lambda user: (ADDRESSES[user],))
    environ, arguments = _ADAPTERS[name]
    environ = {key: value.format(port=port) for key, value in environ.items()}
    return Runtime(environ, lambda **_: {"platform": name}, arguments)


def _local(**_: bool) -> dict[str, Any]:
    context = lambda invocation: {"remoteAddress": invocation.args[0]}  # noqa: E731  reason: as users write it
    return {"platform": "local", "context": context}


def _cloud(*, awaits: bool) -> dict[str, Any]:
    return {"plugins": [Cloud(awaits=awaits)]}


def _aws_event(user: str) -> tuple[Any, ...]:
    """Return the event of a Function URL, and a Lambda context."""
    http = {"method": "GET", "path": "/", "sourceIp": ADDRESSES[user]}
    event = {"version": "2.0", "rawPath": "/", "requestContext": {"http": http}}
    context = SimpleNamespace(
        aws_request_id="an-id", get_remaining_time_in_millis=lambda: 30_000
    )
    return event, context


def _werkzeug_request(user: str) -> tuple[Any, ...]:
    """Return a request as functions-framework passes it."""
    from werkzeug.test import create_environ
    from werkzeug.wrappers import Request

    headers = {"X-Forwarded-For": ADDRESSES[user]}
    return (Request(create_environ("/", headers=headers)),)


def _azure_request(user: str) -> tuple[Any, ...]:
    """Return those attributes of an HTTP trigger's request that the adapter reads."""
    headers = {"x-forwarded-for": f"{ADDRESSES[user]}:5000"}
    url = "http://localhost/api/hello"
    return (SimpleNamespace(method="GET", url=url, headers=headers),)


_ADAPTERS: dict[str, tuple[dict[str, str], Callable[[str], tuple[Any, ...]]]] = {
    "aws_lambda": (
        {
            "AWS_LAMBDA_FUNCTION_NAME": "hello",
            "AWS_LAMBDA_RUNTIME_API": "127.0.0.1:{port}",
        },
        _aws_event,
    ),
    "gcp_cloud_functions": (
        {
            "FUNCTION_TARGET": "hello",
            "K_SERVICE": "hello",
            "K_CONFIGURATION": "hello",
            "CLOUD_RUN_TIMEOUT_SECONDS": "60",
        },
        _werkzeug_request,
    ),
    "azure_functions": (
        {"FUNCTIONS_WORKER_RUNTIME": "python", "WEBSITE_SITE_NAME": "hello"},
        _azure_request,
    ),
}
