"""A server that fails on demand does what each fault says."""

from __future__ import annotations

import http.client
import json
import socket
import threading

import pytest

from serverless_flags.testing import Counts
from serverless_flags.testing.faults import Fault, FaultyFlagServer

BUCKET = {"start": "", "stop": "", "toggles": {"simpleFlag": {"yes": 1, "no": 0}}}
METRICS = json.dumps({"appName": "test", "bucket": BUCKET})
PATIENCE = 20.0


@pytest.fixture(name="server")
def _server():
    with FaultyFlagServer({"simpleFlag": True}) as server:
        yield server


@pytest.fixture(name="send")
def _send(server):
    """Send one request with counts; return the status of the answer."""

    def send(timeout=PATIENCE):
        connection = http.client.HTTPConnection(
            "127.0.0.1", server.port, timeout=timeout
        )
        try:
            headers = {"Authorization": server.token}
            connection.request("POST", "/api/client/metrics", METRICS, headers)
            response = connection.getresponse()
            response.read()
            return response.status
        finally:
            connection.close()

    return send


@pytest.mark.parametrize(
    ("fault", "status", "taken"),
    [
        (Fault.NONE, 202, True),
        (Fault.ERROR, 500, False),
        (Fault.UNAVAILABLE, 503, False),
        (Fault.GATEWAY, 504, True),
        (Fault.SLOW, 202, True),
    ],
)
def test_a_fault_that_answers(server, send, fault, status, taken):
    """The status is the fault's, and the counts are taken or not."""
    server.fault = fault

    assert status == send()
    assert Counts(yes=taken) == server.counts("simpleFlag")
    (exchange,) = server.exchanges
    assert (fault, taken, status) == (exchange.fault, exchange.taken, exchange.status)


@pytest.mark.parametrize(
    ("fault", "error", "taken"),
    [
        (Fault.RESET, ConnectionResetError, False),
        (Fault.RESET_LATE, ConnectionResetError, True),
        (Fault.CUT, http.client.IncompleteRead, True),
    ],
)
def test_a_fault_that_breaks_the_connection(server, send, fault, error, taken):
    """No answer, or half of one."""
    server.fault = fault

    with pytest.raises(error):
        send()
    assert Counts(yes=taken) == server.counts("simpleFlag")
    assert server.exchanges[0].status is None


def test_nobody_listens(server, send):
    """Until the fault is over."""
    server.fault = Fault.REFUSED

    with pytest.raises(ConnectionRefusedError):
        send()
    server.fault = Fault.NONE
    assert 202 == send()


def test_nobody_else_gets_the_port(server):
    """Whoever takes any free port meanwhile does not take this one."""
    server.fault = Fault.REFUSED
    with socket.socket() as other, pytest.raises(OSError, match="in use"):
        other.bind(("127.0.0.1", server.port))


@pytest.mark.parametrize(
    ("fault", "taken"), [(Fault.UNHEARD, False), (Fault.UNANSWERED, True)]
)
def test_no_answer(server, send, fault, taken):
    """The client waits as long as it likes."""
    server.fault = fault

    with pytest.raises(TimeoutError):
        send(timeout=0.1)
    assert server.wait_for_held(1, PATIENCE)
    assert Counts(yes=taken) == server.counts("simpleFlag")


def test_a_late_answer(server, send):
    """What was taken is answered once it is let go of."""
    server.fault = Fault.UNANSWERED
    statuses = []
    thread = threading.Thread(target=lambda: statuses.append(send()))
    thread.start()
    server.wait_for_held(1, PATIENCE)
    before = list(statuses)
    server.release()
    thread.join(PATIENCE)

    assert ([], [202]) == (before, statuses)


def test_half_a_request_is_none(server):
    """A client that gives up while it writes has sent nothing."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE)
    connection.putrequest("POST", "/api/client/metrics")
    connection.putheader("Content-Length", str(len(METRICS)))
    connection.endheaders(METRICS[:10].encode())
    connection.sock.shutdown(1)

    assert b"" == connection.sock.recv(1)
    connection.close()
    assert [] == list(server.exchanges)
