"""
An HTTP server of the Runtime API and the Extensions API, on the loopback interface.

https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html and
https://docs.aws.amazon.com/lambda/latest/dg/runtimes-extensions-api.html.
"""

from __future__ import annotations

import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from serverless_flags_aws_lambda._emulator.instance_state import (
    InstanceEndedError,
    RefusedError,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from serverless_flags_aws_lambda._emulator.environment import Function
    from serverless_flags_aws_lambda._emulator.instance_state import Call, InstanceState

_RUNTIME = "/2018-06-01/runtime"
_EXTENSION = "/2020-01-01/extension"
_POLL_INTERVAL = 0.02
"""Seconds between two checks of the serving thread whether to stop."""


class RuntimeApiServer(ThreadingHTTPServer):
    """
    The APIs of one instance, whose state is ``state``; a thread per connection.

    ``close`` ends the requests that are still pending.
    """

    daemon_threads = True

    def __init__(self, state: InstanceState, function: Function) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.state = state
        self.function = function
        threading.Thread(
            target=self.serve_forever, args=(_POLL_INTERVAL,), daemon=True
        ).start()

    @property
    def address(self) -> str:
        """The value of ``AWS_LAMBDA_RUNTIME_API``."""
        return f"127.0.0.1:{self.server_address[1]}"

    def close(self) -> None:
        """End the pending requests and stop serving."""
        self.state.end()
        self.shutdown()
        self.server_close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore connections that break: that is how an instance is killed."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1  # buffered: head and body leave in one packet
    server: RuntimeApiServer

    def do_GET(self) -> None:
        routes = {
            f"{_RUNTIME}/invocation/next": self._next_call,
            f"{_RUNTIME}/restore/next": self._restore,
            f"{_EXTENSION}/event/next": self._next_event,
        }
        try:
            routes.get(self.path, self._not_found)()
        except RefusedError as error:
            self._refuse(error)
        except InstanceEndedError:
            self.close_connection = True

    def do_POST(self) -> None:
        body = self._read_body()
        try:
            self._post(body)
        except RefusedError as error:
            self._refuse(error)

    def _post(self, body: bytes) -> None:
        state = self.server.state
        if self.path == f"{_EXTENSION}/register":
            self._register(body)
            return
        if self.path == f"{_RUNTIME}/init/error":
            state.fail("Init", body)
        elif self.path == f"{_RUNTIME}/restore/error":
            state.fail("restore", body)
        elif call := self._match_call():
            call_id, verb = call
            state.answer(call_id, (verb == "response", body))
        else:
            self._not_found()
            return
        self._reply(202, {"status": "OK"})

    def _match_call(self) -> tuple[str, str] | None:
        """Return the id and the verb of ``/runtime/invocation/{id}/{verb}``."""
        prefix, _, rest = self.path.partition("/invocation/")
        call_id, _, verb = rest.partition("/")
        known = prefix == _RUNTIME and verb in {"response", "error"}
        return (call_id, verb) if known else None

    def _next_call(self) -> None:
        call = self.server.state.next_call()
        headers = {
            "Lambda-Runtime-Aws-Request-Id": call.id,
            "Lambda-Runtime-Deadline-Ms": _deadline_ms(call),
            "Lambda-Runtime-Invoked-Function-Arn": self.server.function.arn,
            "Lambda-Runtime-Trace-Id": "Root=1-00000000-000000000000000000000000",
        }
        self._reply(200, call.event, headers)

    def _restore(self) -> None:
        self.server.state.wait_for_restore()
        self._reply(200, {})

    def _register(self, body: bytes) -> None:
        name = self.headers.get("Lambda-Extension-Name")
        identifier = self.server.state.register(name, body)
        headers = {"Lambda-Extension-Identifier": identifier}
        self._reply(200, self.server.function.description, headers)

    def _next_event(self) -> None:
        identifier = self.headers.get("Lambda-Extension-Identifier")
        call = self.server.state.next_event(identifier)
        event = {
            "eventType": "INVOKE",
            "deadlineMs": int(_deadline_ms(call)),
            "requestId": call.id,
            "invokedFunctionArn": self.server.function.arn,
            "tracing": {"type": "X-Amzn-Trace-Id", "value": ""},
        }
        self._reply(200, event)

    def _not_found(self) -> None:
        self._reply(404, {"errorMessage": self.path, "errorType": "NotFound"})

    def _refuse(self, error: RefusedError) -> None:
        message = {"errorMessage": str(error), "errorType": error.kind}
        self._reply(error.status, message)

    def _read_body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = b""
        while size := int(self.rfile.readline().split(b";")[0] or b"0", 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass  # trailers
        return body

    def _reply(
        self,
        status: int,
        content: bytes | Mapping[str, object],
        headers: Mapping[str, str] | None = None,
    ) -> None:
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  reason: the base class's name
        """Log nothing: the output of the emulator is the instance's."""


def _deadline_ms(call: Call) -> str:
    return str(int(call.deadline * 1000))
