"""
Flags that change at each request, and flags that never change.

    python -m benchmarks.contenders.refresh.server FLAGS [FLAGS ...]

Prints its port, and serves until its standard input is closed. To a client that has
one state, ``/changing/FLAGS/api`` sends another one, and ``/constant/FLAGS/api``
answers 304. All bodies are encoded and compressed in advance: nothing disturbs a
client's invocations while it waits for the server, so a slow server would flatter it.
"""

import gzip
import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from benchmarks.contenders.flag_server import features

_states: dict[int, tuple[tuple[str, bytes], ...]] = {}
"""Two states of each size: their ETags and compressed bodies."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        """Answer by the path and the client's ETag."""
        _, kind, flags, *_ = self.path.split("/")
        assert "gzip" in self.headers["Accept-Encoding"]
        (first, second), known = _states[int(flags)], self.headers["If-None-Match"]
        if kind == "constant" and known == first[0]:
            self._answer(304, {}, b"")
            return
        etag, body = second if known == first[0] else first
        headers = {"ETag": etag, "Content-Encoding": "gzip"}
        self._answer(200, {**headers, "Content-Type": "application/json"}, body)

    def do_POST(self) -> None:
        """Accept a registration or counts."""
        self.rfile.read(int(self.headers["Content-Length"]))
        self._answer(202, {}, b"")

    def _answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if status != 304:  # noqa: PLR2004  reason: an HTTP status
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Log nothing."""


def _prepare(flags: int) -> None:
    states = []
    for version in "12":
        state = features(flags)
        for feature in state["features"]:
            feature["description"] += f", version {version}"
        etag = f'W/"{flags}-{version}"'
        states.append((etag, gzip.compress(json.dumps(state).encode())))
    _states[flags] = tuple(states)


if __name__ == "__main__":
    for size in sys.argv[1:]:
        _prepare(int(size))
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(server.server_port, flush=True)
    sys.stdin.read()
