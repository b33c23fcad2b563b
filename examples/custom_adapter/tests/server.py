"""A WSGI function that the standard library serves, as a Knative container would."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING
from wsgiref.simple_server import make_server

from serverless_flags import FlagSession

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment

flags = FlagSession()


@flags.wrap
def hello(environ: WSGIEnvironment, start_response: StartResponse) -> list[bytes]:
    """Answer with the flag and the platform that was elected."""
    answer = {
        "enabled": flags.is_enabled("simpleFlag"),
        "platform": flags.status.platform,
    }
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(answer).encode()]


if __name__ == "__main__":
    with make_server("127.0.0.1", int(os.environ["PORT"]), hello) as server:
        server.serve_forever()
