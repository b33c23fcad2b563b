"""A function app with a SIGTERM handler of its own, of the kind that HANDLER says."""

import asyncio
import os
import signal
import sys
from pathlib import Path

import azure.functions as func

from serverless_flags import FlagSession

KIND = os.environ["HANDLER"]


def say():
    """Tell that the handler has its turn."""
    print("the handler's turn", flush=True)  # noqa: T201  reason: Azure logs standard output


def leave(*_):
    """End the worker in good order."""
    say()
    sys.exit(7)


def stay(*_):
    """Leave the end to the platform."""
    say()


def chain(*args):
    """Do what was to be done before."""
    say()
    previous(*args)


if KIND in {"leaves", "stays"}:
    signal.signal(signal.SIGTERM, leave if KIND == "leaves" else stay)

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)
flags = FlagSession()


@app.route(route="hello")
@flags.wrap
def hello(req: func.HttpRequest) -> str:
    """Answer the state of the flag, after the gate if there is one."""
    if "gate" in req.params:
        Path(req.params["gate"]).read_text()
    return str(flags.is_enabled("simpleFlag"))


if KIND == "leaves, installed later":
    signal.signal(signal.SIGTERM, leave)
if KIND == "chains, installed later":
    previous = signal.signal(signal.SIGTERM, chain)
if KIND == "leaves from the loop":
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, leave)
