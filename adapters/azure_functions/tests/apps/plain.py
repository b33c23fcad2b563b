"""Functions without a flag session, to test the emulator."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import sys
import threading

import azure.functions as func

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)
imported_by = threading.current_thread().name
met = asyncio.Event()


def reply(**values: object) -> func.HttpResponse:
    """Answer JSON, with the thread that the function ran on."""
    body = json.dumps({"thread": threading.current_thread().name, **values})
    return func.HttpResponse(body, mimetype="application/json", status_code=202)


@app.route(route="hello", methods=["GET", "POST"])
def hello(req: func.HttpRequest) -> func.HttpResponse:
    """Return the request."""
    return reply(
        imported_by=imported_by,
        method=req.method,
        url=req.url,
        params=dict(req.params),
        forwarded=req.headers.get("X-Forwarded-For"),
        body=req.get_body().decode(),
    )


@app.route(route="hello_async")
async def hello_async(
    req: func.HttpRequest, context: func.Context
) -> func.HttpResponse:
    """Return the context of a coroutine."""
    return reply(
        directory=context.function_directory,
        function=context.function_name,
        invocation=context.invocation_id,
        attributes=dict(context.trace_context.attributes),
    )


@app.route(route="items/{id:int}/{tag?}")
def item(req: func.HttpRequest) -> func.HttpResponse:
    """Return the parameters of the route."""
    return reply(route_params=dict(req.route_params))


@app.route(route="files/{*path}")
def files(req: func.HttpRequest) -> str:
    """Answer with text: the rest of the path."""
    return req.route_params["path"]


@app.route(route="meet")
async def meet(req: func.HttpRequest) -> str:
    """Wait for another invocation, then answer."""
    if req.params.get("second"):
        met.set()
    await met.wait()
    return "met"


@app.route(route="broken")
def broken(req: func.HttpRequest) -> str:
    """Raise."""
    message = "no such thing"
    raise LookupError(message)


@app.route(route="silent")
def silent(req: func.HttpRequest):
    """Return nothing."""
    logging.getLogger("app").info("nothing to say")


@app.route(route="cookie")
def cookie(req: func.HttpRequest) -> func.HttpResponse:
    """Set a cookie, which both libraries convert."""
    headers = {"Set-Cookie": "taste=sweet; Path=/; SameSite=Lax"}
    return func.HttpResponse("a cookie", headers=headers)


@app.route(route="environ")
def environ(req: func.HttpRequest) -> func.HttpResponse:
    """Return the environment variables."""
    return reply(environ=dict(os.environ))


@app.route(route="leave")
async def leave(req: func.HttpRequest) -> func.HttpResponse:
    """Install a handler that exits at SIGTERM."""
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, sys.exit, 3)
    return reply()


@app.queue_trigger(arg_name="message", queue_name="in", connection="Storage")
@app.queue_output(arg_name="answer", queue_name="out", connection="Storage")
@app.blob_input(arg_name="blob", path="in/{id}", connection="Storage")
async def queue(message: func.QueueMessage, blob: str, answer: func.Out[str]) -> None:
    """Set an output parameter from a message and an input binding."""
    answer.set(f"{message.get_body().decode()} {message.dequeue_count} {blob}")
