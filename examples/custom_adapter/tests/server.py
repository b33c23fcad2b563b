"""Serve ``module function`` with the standard library, as a container would."""

from __future__ import annotations

import importlib
import os
import sys
from socketserver import ThreadingMixIn
from wsgiref.simple_server import WSGIServer, make_server


class Server(ThreadingMixIn, WSGIServer):
    """One thread for each request."""

    daemon_threads = True
    request_queue_size = 128  # with the default, 5, callers wait for seconds


if __name__ == "__main__":
    module, function = sys.argv[1:]
    sys.path.insert(0, os.getcwd())
    application = getattr(importlib.import_module(module), function)
    port = int(os.environ["PORT"])
    with make_server("127.0.0.1", port, application, Server) as server:
        server.serve_forever()
