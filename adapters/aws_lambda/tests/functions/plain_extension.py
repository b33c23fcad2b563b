"""
An internal extension of a function under test, without serverless-flags.

Imported, it prints ``told`` and exits at SIGTERM, also while the main thread is in C.
"""

import http.client
import json
import os
import signal
import socket
import threading

_API = os.environ["AWS_LAMBDA_RUNTIME_API"]


def register(events):
    """Register; return the identifier, None when refused, and the answer."""
    connection = http.client.HTTPConnection(_API)
    headers = {"Lambda-Extension-Name": "plain"}
    body = json.dumps({"events": events})
    connection.request("POST", "/2020-01-01/extension/register", body, headers)
    answer = connection.getresponse()
    content = json.loads(answer.read())
    connection.close()
    return answer.headers["Lambda-Extension-Identifier"], content


def send_next(identifier):
    """Ask for the next event; the connection has to be kept."""
    connection = http.client.HTTPConnection(_API)
    headers = {"Lambda-Extension-Identifier": identifier}
    connection.request("GET", "/2020-01-01/extension/event/next", headers=headers)
    return connection


def _listen():
    receiver.recv(1)
    os.write(1, b"told\n")
    os._exit(0)


receiver, sender = socket.socketpair()
sender.setblocking(False)
signal.set_wakeup_fd(sender.fileno())
signal.signal(signal.SIGTERM, lambda signum, frame: None)
threading.Thread(target=_listen, daemon=True).start()
