"""Functions that evaluate a flag."""

import json
import signal
import threading

import azure.functions as func

from serverless_flags import FlagSession

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)
flags = FlagSession()
CONTEXT_FLAGS = ("byAddress", "byUser", "byPath", "byMethod")


@app.route(route="hello")
@flags.wrap
def hello(req: func.HttpRequest) -> str:
    """Answer from the thread pool."""
    return str(flags.is_enabled("simpleFlag"))


@app.route(route="hello_async")
@flags.wrap
async def hello_async(req: func.HttpRequest) -> str:
    """Answer from the event loop."""
    return str(flags.is_enabled("simpleFlag"))


@app.route(route="unwrapped")
def unwrapped(req: func.HttpRequest) -> str:
    """Answer from the thread pool, without flags."""
    return "here"


@app.route(route="unwrapped_async")
async def unwrapped_async(req: func.HttpRequest) -> str:
    """Answer from the event loop, without flags."""
    return "here"


@app.route(route="context")
@flags.wrap
def context(req: func.HttpRequest) -> str:
    """Answer with the flags that are enabled for the request."""
    return json.dumps([name for name in CONTEXT_FLAGS if flags.is_enabled(name)])


@app.route(route="status")
@flags.wrap
def status(req: func.HttpRequest) -> str:
    """Answer with the session's status."""
    now = flags.status
    return json.dumps(
        {"platform": now.platform, "state": now.state.value, "end": now.termination}
    )


@app.route(route="interrupt")
@flags.wrap
def interrupt(req: func.HttpRequest) -> str:
    """Send SIGTERM to this thread while the event loop sleeps."""
    flags.is_enabled("simpleFlag")
    signal.pthread_kill(threading.get_ident(), signal.SIGTERM)
    threading.Event().wait(10)  # the process ends here
    print("SIGTERM was not handled", flush=True)  # noqa: T201  reason: there is no caller any more
    return ""
