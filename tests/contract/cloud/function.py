"""The contract's function as a WSGI application, and a server for it."""

from __future__ import annotations

import os
import sys
from socketserver import ThreadingMixIn
from urllib.parse import parse_qs
from wsgiref.simple_server import WSGIServer, make_server

from serverless_flags.testing.contract_function import ContractError, answer, flags

BREACH = os.environ.get("SMALL_CLOUD_BREACH", "")


@flags.wrap
def function(environ, start_response):
    (do,) = parse_qs(environ["QUERY_STRING"], keep_blank_values=True)["do"]
    try:
        text = answer(do)
    except ContractError:
        if BREACH != "swallow":
            raise
        text = "{}"
    start_response("200 OK", [("Content-Type", "application/json")])
    return [text.encode()]


class Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True
    request_queue_size = 128  # with the default, 5, callers wait for seconds


if __name__ == "__main__":
    port = int(os.environ["PORT"])
    with make_server("127.0.0.1", port, function, Server) as server:
        sys.exit(server.serve_forever())
