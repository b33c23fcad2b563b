"""Functions of every kind that functions-framework knows; each evaluates a flag."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import functions_framework
import functions_framework.aio
from flask import Response
from starlette.responses import StreamingResponse

from serverless_flags import FlagSession

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from cloudevents.http import CloudEvent
    from flask import Request
    from starlette.requests import Request as AsyncRequest

flags = FlagSession()
others = FlagSession(app_name="others")


def _answer() -> dict[str, Any]:
    return {
        "enabled": flags.is_enabled("simpleFlag"),
        "flush_interval": flags.status.flush_interval,
        "termination": flags.status.termination,
        "handler": getattr(signal.getsignal(signal.SIGTERM), "__module__", None),
        "pid": os.getpid(),
    }


def _pass(gate: str | None) -> None:
    """Wait until the named pipe has been opened for writing and closed."""
    if gate:
        Path(gate).read_text()


def _sleep(began: str | None, seconds: str) -> None:
    """Create the file ``began``, then sleep, which lets greenlets run."""
    if began:
        Path(began).touch()
        time.sleep(float(seconds))


def _stay(where: str | None) -> None:
    """Never return; run Python code, which exceptions and signals interrupt."""
    while where:
        time.sleep(0.01)


def _log(*words: object) -> None:
    print(*words, flush=True)  # noqa: T201  reason: standard output is Google's log


@functions_framework.http
@flags.wrap
def http(request: Request) -> dict[str, Any]:
    """Answer with the flag, after the gate if there is one, or never."""
    _pass(request.args.get("gate"))
    _sleep(request.args.get("began"), request.args.get("seconds", "0"))
    answer = _answer()
    _stay(request.args.get("stay"))
    return answer


@flags.wrap
@functions_framework.http
def http_wrapped_last(_request: Request) -> dict[str, Any]:
    """Answer with the flag; the decorators are in the other order."""
    return _answer()


@functions_framework.http
@others.wrap
@flags.wrap
def http_two_sessions(_request: Request) -> dict[str, Any]:
    """Evaluate flags of two sessions."""
    return {**_answer(), "other": others.is_enabled("otherFlag")}


@functions_framework.http
@flags.wrap
def http_streaming(request: Request) -> Response:
    """Answer in two parts; the second evaluates the flag, after the gate."""
    gate = request.args.get("gate")

    def body() -> Iterator[str]:
        yield "flag: "
        _pass(gate)
        yield str(flags.is_enabled("simpleFlag"))

    return Response(body(), status=201, headers={"x-own": "kept"})


@functions_framework.http
@flags.wrap
def http_streaming_in_invocation(request: Request) -> Response:
    """Answer in a body that is an invocation of its own."""

    def body() -> Iterator[str]:
        with flags.invocation(request):
            yield f"flag: {flags.is_enabled('simpleFlag')}"

    return Response(body())


class Asked:
    """The argument of the typed function."""

    def __init__(self, name: str) -> None:
        self.name = name

    @staticmethod
    def from_dict(values: dict[str, str]) -> Asked:
        """Read the request's body."""
        return Asked(values["name"])


@functions_framework.typed(Asked)
@flags.wrap
def typed(asked):
    """Answer with the requested flag; an annotation would be a string here."""
    return {"enabled": flags.is_enabled(asked.name)}


@functions_framework.cloud_event
@flags.wrap
def cloud_event(event: CloudEvent) -> None:
    """Print the flag."""
    _log("event", event["id"], _answer()["enabled"])


@flags.wrap
@functions_framework.cloud_event
def cloud_event_wrapped_last(event: CloudEvent) -> None:
    """Print the flag; the decorators are in the other order."""
    _log("event", event["id"], _answer()["enabled"])


@flags.wrap
def background(data: Any, context: Any) -> None:
    """Print the flag."""
    _log("event", context.event_id, data, _answer()["enabled"])


@functions_framework.aio.http
@flags.wrap
async def aio_http(request: AsyncRequest) -> dict[str, Any]:
    """Answer with the flag, after the gate if there is one, or block the loop."""
    await asyncio.to_thread(_pass, request.query_params.get("gate"))
    answer = _answer()
    _stay(request.query_params.get("stay"))
    return answer


@flags.wrap
@functions_framework.aio.http
async def aio_http_wrapped_last(_request: AsyncRequest) -> dict[str, Any]:
    """Answer with the flag; the decorators are in the other order."""
    return _answer()


@functions_framework.aio.http
@others.wrap
@flags.wrap
async def aio_http_two_sessions(_request: AsyncRequest) -> dict[str, Any]:
    """Evaluate flags of two sessions."""
    return {**_answer(), "other": others.is_enabled("otherFlag")}


@functions_framework.aio.http
@flags.wrap
def aio_def_http(request: AsyncRequest) -> dict[str, Any]:
    """Answer with the flag from the loop's executor, after the gate if there is one."""
    _pass(request.query_params.get("gate"))
    return _answer()


@functions_framework.aio.http
@flags.wrap
async def aio_http_streaming(request: AsyncRequest) -> StreamingResponse:
    """Answer in two parts; the second evaluates the flag, after the gate."""
    gate = request.query_params.get("gate")

    async def body() -> AsyncIterator[str]:
        yield "flag: "
        await asyncio.to_thread(_pass, gate)
        yield str(flags.is_enabled("simpleFlag"))

    return StreamingResponse(body(), 201, {"x-own": "kept"})


@functions_framework.aio.cloud_event
@flags.wrap
async def aio_cloud_event(event: CloudEvent) -> None:
    """Print the flag."""
    _log("event", event["id"], _answer()["enabled"])
