"""What the embedded flag server serves, over real HTTP."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING

import pytest

from serverless_flags import FlagSession
from serverless_flags.testing import FlagServer

if TYPE_CHECKING:
    from conftest import Client


def test_mapping(client: Client) -> None:
    """A mapping of names to bools is served as features of the project default."""
    answer = client.fetch()

    assert answer.status == 200
    assert answer.enabled == {"simpleFlag": True}
    assert json.loads(answer.body)["features"][0]["project"] == "default"


def test_set_changes_the_next_fetch(server: FlagServer, client: Client) -> None:
    """The next fetch has a flag that was flipped or added."""
    server.set("simpleFlag", enabled=False)
    server.set("other", enabled=True)

    assert client.fetch().enabled == {"simpleFlag": False, "other": True}


def test_unchanged_flags_answer_304_on_the_same_connection(
    server: FlagServer, client: Client
) -> None:
    """If-None-Match is answered 304 without a body, until a flag changes."""
    etag = client.fetch().headers["ETag"]
    local_port = client.local_port
    unchanged = client.fetch(If_None_Match=etag)
    server.set("simpleFlag", enabled=False)
    changed = client.fetch(If_None_Match=etag)

    assert (unchanged.status, unchanged.body) == (304, b"")
    assert changed.status == 200
    assert changed.headers["ETag"] != etag
    assert client.local_port == local_port


@pytest.mark.parametrize(
    ("accepted", "expected"), [("gzip", "gzip"), ("gzip;q=0", None), ("", None)]
)
def test_gzip_only_when_accepted(
    client: Client, accepted: str, expected: str | None
) -> None:
    """Features are compressed only if the client accepts gzip."""
    answer = client.fetch(Accept_Encoding=accepted)
    if expected:
        answer.body = gzip.decompress(answer.body)

    assert answer.headers["Content-Encoding"] == expected
    assert answer.enabled == {"simpleFlag": True}


class TestBody:
    """Flags given as a body of /api/client/features."""

    BODY = {
        "version": 2,
        "features": [
            {
                "name": "a",
                "enabled": True,
                "project": "one",
                "strategies": [],
                "variants": [{}],
            },
            {"name": "b", "enabled": True, "project": "two", "strategies": []},
        ],
        "segments": [{"id": 1, "constraints": []}],
    }

    @pytest.fixture(name="server")
    def _server(self):
        with FlagServer(self.BODY) as server:
            yield server

    def test_is_served_unchanged(self, client: Client) -> None:
        """Variants, segments and all other fields are kept."""
        assert json.loads(client.fetch().body) == self.BODY

    def test_is_copied(self, server: FlagServer, client: Client) -> None:
        """A flip does not change the mapping that the caller passed."""
        server.set("a", enabled=False)

        assert client.fetch().enabled == {"a": False, "b": True}
        assert self.BODY["features"][0]["enabled"] is True

    def test_project_selects_flags(self, server: FlagServer, client: Client) -> None:
        """With ``?project=`` only the flags of that project are served."""
        assert client.fetch("?project=two").enabled == {"b": True}
        assert server.requests[0].query == "project=two"


def test_required_fields_are_filled_in() -> None:
    """A flag needs a name and `enabled`; the server adds what the engine requires."""
    body = {"features": [{"name": "simpleFlag", "enabled": True}]}
    with FlagServer(body) as server:
        flags = FlagSession(url=server.url, api_token=server.token, plugins=[])
        flags.start()

        assert flags.is_enabled("simpleFlag")
        assert flags.status.flags == 1
        flags.close()
