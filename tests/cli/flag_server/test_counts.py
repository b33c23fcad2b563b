"""What the embedded flag server receives: counts, and registrations."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from serverless_flags.testing import Counts, FlagServer

if TYPE_CHECKING:
    from conftest import Client


def test_counts_add_up(server: FlagServer, client: Client) -> None:
    """Buckets add up per flag and variant; an unknown flag has none."""
    first = client.count(a={"yes": 2, "no": 1, "variants": {"v": 1}}, b={"yes": 1})
    second = client.count(a={"yes": 1, "variants": {"v": 1, "w": 1}})

    assert (first.status, second.status) == (202, 202)
    assert server.counts("a") == Counts(yes=3, no=1)
    assert server.counts("a").total == 4
    assert server.counts("a").variants == {"v": 2, "w": 1}
    assert server.counts("unknown") == Counts()


def test_counts_of_one_application(server: FlagServer, client: Client) -> None:
    """Counts can be told apart by the name of the application."""
    client.count("one", a={"yes": 2})
    client.count("two", a={"no": 1})

    assert server.counts("a", app_name="one") == Counts(yes=2)
    assert server.wait_for_counts("a", 1, 0, app_name="two") == Counts(no=1)
    assert server.counts("a") == Counts(yes=2, no=1)


@pytest.mark.parametrize(
    "body",
    [
        b"no json",
        b"[]",
        b'{"appName": "app", "bucket": []}',
        b'{"appName": "app", "bucket": {"toggles": {}}}',
        b'{"bucket": {"start": 1, "stop": 1, "toggles": {}}}',
        b'{"appName": "app", "bucket": {"start": 1, "stop": 1, "toggles": {"a": 1}}}',
    ],
)
def test_malformed_metrics(client: Client, body: bytes) -> None:
    """A body that Unleash would refuse answers 400."""
    assert client.post(client.METRICS, body).status == 400


@pytest.mark.parametrize(
    "toggle",
    [
        {"yes": -1},
        {"yes": True},
        {"no": "1"},
        {"yes": 1, "variants": {"v": "1"}},
        {"yes": 1, "variants": [1]},
    ],
)
def test_malformed_toggle_counts_nothing(
    server: FlagServer, client: Client, toggle: dict[str, object]
) -> None:
    """A count that is no number answers 400, and its whole bucket is left out."""
    assert client.count(a={"yes": 1}, b=toggle).status == 400
    assert server.counts("a") == Counts()


def test_metrics_without_a_bucket(client: Client) -> None:
    """A request with impact metrics only is accepted; nothing is counted."""
    body = b'{"appName": "app", "impactMetrics": []}'

    assert client.post(client.METRICS, body).status == 202


def test_wait_for_counts(server: FlagServer, client: Client) -> None:
    """Waiting ends at the total, or at the timeout with the counts so far."""
    headers = {"Authorization": server.token}
    body = client.bucket(a={"yes": 2})
    client.connection.request("POST", client.METRICS, body, headers)

    assert server.wait_for_counts("a", 2, timeout=10) == Counts(yes=2)
    assert server.wait_for_counts("a", 3, timeout=0) == Counts(yes=2)


def test_register(client: Client) -> None:
    """A registration is accepted; a malformed one answers 400."""
    assert client.post(client.REGISTER, b'{"appName": "app"}').status == 202
    assert client.post(client.REGISTER, b"{").status == 400
