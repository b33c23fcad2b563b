"""
An internal extension of a function under test, without serverless-flags.

Once imported, it prints ``got SIGTERM`` and exits at that signal, even while the main
thread runs C code.
"""

import http.client
import json
import os
import signal
import socket
import threading

_API = os.environ["AWS_LAMBDA_RUNTIME_API"]


def register(events):
    """Register; return the identifier, or None when refused, and the response."""
    connection = http.client.HTTPConnection(_API)
    headers = {"Lambda-Extension-Name": "plain"}
    body = json.dumps({"events": events})
    connection.request("POST", "/2020-01-01/extension/register", body, headers)
    answer = connection.getresponse()
    content = json.loads(answer.read())
    connection.close()
    return answer.headers["Lambda-Extension-Identifier"], content


def send_next(identifier):
    """Request the next event; the caller has to keep the connection."""
    connection = http.client.HTTPConnection(_API)
    headers = {"Lambda-Extension-Identifier": identifier}
    connection.request("GET", "/2020-01-01/extension/event/next", headers=headers)
    return connection


def _listen():
    receiver.recv(1)
    os.write(1, b"got SIGTERM\n")
    os._exit(0)


receiver, sender = socket.socketpair()
sender.setblocking(False)
signal.set_wakeup_fd(sender.fileno())
signal.signal(signal.SIGTERM, lambda signum, frame: None)
threading.Thread(target=_listen, daemon=True).start()
