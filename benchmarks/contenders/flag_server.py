"""
An Unleash server near and far: loopback http, and TLS behind 30 ms.

    python -m benchmarks.contenders.flag_server FLAGS FOLDER

Serves this many flags until its standard input is closed. Writes ``flags.json`` and
``ca.pem`` into the folder, and prints one line of JSON: the environment of a function
on each network. The body is encoded once, so that no client waits for its encoding.
"""

from __future__ import annotations

import gzip
import json
import random
import ssl
import sys
from pathlib import Path

import trustme
from werkzeug import Response

from benchmarks.contenders.delay_proxy import DelayProxy
from serverless_flags.testing.faults import FaultyFlagServer

ROUND_TRIP = 0.030
NETS = ("loopback", "30 ms TLS")


def features(count: int) -> dict:
    """Return a body of ``/api/client/features``: about 750 bytes a flag."""
    return {"version": 2, "features": [_feature(number) for number in range(count)]}


def _feature(number: int) -> dict:
    """Return a flag that is on for user 7 and some others."""
    others = random.Random(number).sample(range(10_000, 100_000), 15)  # noqa: S311  reason: the same flags each time
    users = ["7", *map(str, others)]
    rollout = {
        "name": "flexibleRollout",
        "constraints": [
            _constraint("userId", "IN", users),
            _constraint("environment", "NOT_IN", ["staging", "preview"]),
        ],
        "parameters": {
            "rollout": "100",
            "stickiness": "default",
            "groupId": f"flag-{number}",
        },
        "segments": [],
        "variants": [],
    }
    return {
        "name": f"flag-{number}",
        "type": "release",
        "description": f"What flag number {number} of the checkout service turns on",
        "project": "default",
        "enabled": True,
        "stale": False,
        "impressionData": False,
        "strategies": [rollout],
        "variants": [],
    }


def _constraint(name: str, operator: str, values: list[str]) -> dict:
    return {
        "contextName": name,
        "operator": operator,
        "values": values,
        "caseInsensitive": False,
        "inverted": False,
    }


class PreparedFlagServer(FaultyFlagServer):
    """A flag server whose flags never change and are encoded in advance."""

    def __init__(self, flags: dict, **options) -> None:
        super().__init__(flags, **options)
        self._plain = json.dumps(flags).encode()
        self._packed = gzip.compress(self._plain)

    def take(self, exchange, environ) -> Response:
        """Answer requests for all flags; leave the others to the embedded server."""
        asks_for_flags = (
            environ["REQUEST_METHOD"] == "GET" and "features" in environ["PATH_INFO"]
        )
        trusted = environ.get("HTTP_AUTHORIZATION") == self.token
        if not asks_for_flags or not trusted or "HTTP_IF_NONE_MATCH" in environ:
            return super().take(exchange, environ)
        exchange.taken = True
        headers = {"ETag": 'W/"1"', "Content-Type": "application/json"}
        if "gzip" in environ.get("HTTP_ACCEPT_ENCODING", ""):
            headers["Content-Encoding"] = "gzip"
            return Response(self._packed, headers=headers)
        return Response(self._plain, headers=headers)


def main(count: int, folder: Path) -> None:
    """Serve until the other end of standard input is closed."""
    authority = trustme.CA()
    bundle = folder / "ca.pem"
    authority.cert_pem.write_to_path(str(bundle))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    flags = features(count)
    (folder / "flags.json").write_text(json.dumps(flags))
    with (
        PreparedFlagServer(flags) as near,
        PreparedFlagServer(flags, tls=context) as server,
        DelayProxy(server.port, ROUND_TRIP) as proxy,
    ):
        far = {
            "UNLEASH_URL": f"https://127.0.0.1:{proxy.port}/api",
            "UNLEASH_API_TOKEN": server.token,
            "REQUESTS_CA_BUNDLE": str(bundle),
        }
        print(json.dumps(dict(zip(NETS, (near.environ, far), strict=True))), flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
