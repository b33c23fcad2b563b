"""Functions without flags, to test the emulator."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Any

import functions_framework
import functions_framework.aio

if TYPE_CHECKING:
    from cloudevents.http import CloudEvent
    from flask import Request
    from starlette.requests import Request as AsyncRequest

IMPORTED_BY = os.getpid()


def _process() -> dict[str, Any]:
    on_main_thread = threading.current_thread() is threading.main_thread()
    return {
        "imported_by": IMPORTED_BY,
        "pid": os.getpid(),
        "main_thread": on_main_thread,
        "environ": dict(os.environ),
    }


def _log(*words: object) -> None:
    print(*words, flush=True)  # noqa: T201  reason: standard output is Google's log


@functions_framework.http
def http(request: Request) -> dict[str, Any]:
    """Return the request, the process and the thread."""
    asked = [request.method, request.path, request.headers.get("x-asked", "")]
    return {**_process(), "asked": asked, "body": request.get_data(as_text=True)}


@functions_framework.aio.http
async def aio_http(_request: AsyncRequest) -> dict[str, Any]:
    """Return the process and the thread."""
    return _process()


@functions_framework.aio.http
def aio_def_http(_request: AsyncRequest) -> dict[str, Any]:
    """Return the process and the thread."""
    return _process()


@functions_framework.cloud_event
def cloud_event(event: CloudEvent) -> None:
    """Print the event."""
    _log("event", event["type"], event["source"], event["id"], event.data)


def background(data: Any, context: Any) -> None:
    """Print the event."""
    _log("background", data, context.event_id, context.event_type)
