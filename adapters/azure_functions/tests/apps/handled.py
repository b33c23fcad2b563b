"""A function app with its own SIGTERM handler, whose kind is in ``HANDLER``."""

import asyncio
import os
import signal
import sys
from pathlib import Path

import azure.functions as func

from serverless_flags import FlagSession

KIND = os.environ["HANDLER"]


def say():
    """Print that the handler runs."""
    print("the handler ran", flush=True)  # noqa: T201  reason: Azure logs standard output


def leave(*_):
    """Exit normally."""
    say()
    sys.exit(7)


def stay(*_):
    """Do not exit."""
    say()


def chain(*args):
    """Call the previous handler."""
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
