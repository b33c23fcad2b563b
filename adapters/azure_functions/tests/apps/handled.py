"""A function app with a SIGTERM handler of its own."""

import signal
import sys

import azure.functions as func

from serverless_flags import FlagSession

signal.signal(signal.SIGTERM, lambda *_: sys.exit("the handler's turn"))

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)
flags = FlagSession()


@app.route(route="hello")
@flags.wrap
def hello(req: func.HttpRequest) -> str:
    """Answer the state of the flag."""
    return str(flags.is_enabled("simpleFlag"))
