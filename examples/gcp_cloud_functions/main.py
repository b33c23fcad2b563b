"""A feature flag on Google Cloud Functions: over HTTP, async, and for events."""

import functions_framework
import functions_framework.aio
from cloudevents.http import CloudEvent
from flask import Request
from starlette.requests import Request as AsyncRequest

from serverless_flags import FlagSession

flags = FlagSession()


def message() -> str:
    """Say whether the flag is enabled."""
    state = "enabled" if flags.is_enabled("simpleFlag") else "disabled"
    return f"Feature flag 'simpleFlag' is {state}"


@functions_framework.http
@flags.wrap
def hello(request: Request) -> dict[str, str]:  # noqa: ARG001  reason: Google's signature
    """Answer an HTTP request."""
    return {"message": message()}


@functions_framework.aio.http
@flags.wrap
async def hello_async(request: AsyncRequest) -> dict[str, str]:  # noqa: ARG001  reason: Google's signature
    """Answer an HTTP request from a coroutine, on uvicorn."""
    return {"message": message()}


@functions_framework.cloud_event
@flags.wrap
def hello_event(event: CloudEvent) -> None:
    """Log the state of the flag for each event."""
    print(event["type"], message())  # noqa: T201  reason: Google logs standard output
