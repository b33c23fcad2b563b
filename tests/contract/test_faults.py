"""A server that fails on demand behaves as each fault says."""

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
TIMEOUT = 20.0


@pytest.fixture(name="server")
def _server():
    with FaultyFlagServer({"simpleFlag": True}) as server:
        yield server


@pytest.fixture(name="send")
def _send(server):
    """Send one request with counts; return the status of the answer."""

    def send(timeout=TIMEOUT):
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
    """The server answers with the fault's status, and counts or does not count."""
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
    """The client gets no answer, or half of one."""
    server.fault = fault

    with pytest.raises(error):
        send()
    assert Counts(yes=taken) == server.counts("simpleFlag")
    assert server.exchanges[0].status is None


def test_a_refused_connection(server, send):
    """The server refuses connections until the fault is over."""
    server.fault = Fault.REFUSED

    with pytest.raises(ConnectionRefusedError):
        send()
    server.fault = Fault.NONE
    assert 202 == send()


def test_the_port_stays_reserved(server):
    """While the server refuses connections, no other program can bind its port."""
    server.fault = Fault.REFUSED
    with socket.socket() as other, pytest.raises(OSError, match="in use"):
        other.bind(("127.0.0.1", server.port))


@pytest.mark.parametrize(
    ("fault", "taken"), [(Fault.UNHEARD, False), (Fault.UNANSWERED, True)]
)
def test_no_answer(server, send, fault, taken):
    """The server does not answer, and the client times out."""
    server.fault = fault

    with pytest.raises(TimeoutError):
        send(timeout=0.1)
    assert server.wait_for_held(1, TIMEOUT)
    assert Counts(yes=taken) == server.counts("simpleFlag")


def test_a_late_answer(server, send):
    """A held request is answered after `release`."""
    server.fault = Fault.UNANSWERED
    statuses = []
    thread = threading.Thread(target=lambda: statuses.append(send()))
    thread.start()
    server.wait_for_held(1, TIMEOUT)
    before = list(statuses)
    server.release()
    thread.join(TIMEOUT)

    assert ([], [202]) == (before, statuses)


def test_half_a_request(server):
    """A request whose client stops writing is not recorded as an exchange."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=TIMEOUT)
    connection.putrequest("POST", "/api/client/metrics")
    connection.putheader("Content-Length", str(len(METRICS)))
    connection.endheaders(METRICS[:10].encode())
    connection.sock.shutdown(1)

    assert b"" == connection.sock.recv(1)
    connection.close()
    assert [] == list(server.exchanges)
