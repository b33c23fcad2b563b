"""The identity of one process, in headers and request bodies."""

from __future__ import annotations

import itertools
import json
import os
import sys
import time
from typing import TYPE_CHECKING, Any

from serverless_flags._version import __version__

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from serverless_flags._settings import Settings

SDK = f"serverless-flags:{__version__}"
CLIENT_SPEC = "6.1.0"
"""The client specification that the engine follows; it determines the answer."""


_RESERVED = frozenset(
    {
        "accept-encoding",
        "connection",
        "content-length",
        "content-type",
        "expect",
        "if-none-match",
        "keep-alive",
        "te",
        "trailer",
        "transfer-encoding",
        "unleash-appname",
        "unleash-client-spec",
        "unleash-connection-id",
        "unleash-instanceid",
        "unleash-interval",
        "unleash-sdk",
        "upgrade",
    }
)
"""Headers that ``custom_headers`` cannot change: those that UnleashClient sets itself,
and those that frame the request."""


class Identity:
    """The identity of one process; a forked process needs a new one."""

    def __init__(self, settings: Settings, app_name: str) -> None:
        digits = os.urandom(16).hex()
        cuts = (0, 8, 12, 16, 20, 32)
        self.connection_id = "-".join(
            digits[start:stop] for start, stop in itertools.pairwise(cuts)
        )
        self.app_name = app_name
        self.instance_id = settings.instance_id or f"{app_name}-{digits[:12]}"

    def headers(self) -> dict[str, str]:
        """Return the headers of every request, as UnleashClient sends them."""
        return {
            "Content-Type": "application/json",
            "Unleash-Client-Spec": CLIENT_SPEC,
            "unleash-appname": header_text(self.app_name),
            "unleash-instanceid": header_text(self.instance_id),
            "unleash-connection-id": self.connection_id,
            "unleash-sdk": SDK,
        }

    def metrics_payload(self, bucket: Mapping[str, Any], engine: str) -> bytes:
        """Return the body of ``/client/metrics``, as UnleashClient sends it."""
        return json.dumps({**self._metadata(engine), "bucket": bucket}).encode()

    def register_payload(
        self, strategies: Iterable[str], engine: str, interval: float
    ) -> bytes:
        """
        Return the body of ``/client/register``, as UnleashClient sends it.

        Args:
            strategies: the names of the custom strategies.
            engine: the engine's version.
            interval: seconds between flushes.
        """
        started = time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime())
        payload = {
            **self._metadata(engine),
            "sdkVersion": SDK,
            "strategies": [*strategies],
            "started": started,
            "interval": int(interval),
        }
        return json.dumps(payload).encode()

    def _metadata(self, engine: str) -> dict[str, str]:
        return {
            "appName": self.app_name,
            "instanceId": self.instance_id,
            "connectionId": self.connection_id,
            "platformName": _PYTHON,
            "platformVersion": _PYTHON_VERSION,
            "yggdrasilVersion": engine,
            "specVersion": CLIENT_SPEC,
            "sdkFlavor": "serverless-flags",
            "sdkFlavorVersion": __version__,
        }


def custom_headers(settings: Settings) -> dict[str, str]:
    """Return the user's headers; ``api_token`` overrides an ``Authorization``."""
    custom = {}
    for name, value in settings.custom_headers.items():
        if name.lower() == "authorization":
            if settings.api_token is None:
                custom["Authorization"] = value
        elif name.lower() not in _RESERVED:
            custom[name] = value
    return custom


def header_text(text: str) -> str:
    """
    Return a name in a form that can be sent as a header.

    A platform may allow function names in any script. Characters outside printable
    Latin-1 are percent-encoded, so that no name prevents a request.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        c if c.isprintable() and c <= "\xff" else _percent_encoded(c) for c in text
    )


def _percent_encoded(character: str) -> str:
    octets = character.encode("utf-8", "surrogatepass")
    return "".join(f"%{octet:02X}" for octet in octets)


_PYTHON = {"cpython": "CPython", "pypy": "PyPy"}.get(
    sys.implementation.name, sys.implementation.name
)
"""As ``platform.python_implementation()`` returns it, whose import takes 1 ms."""
_PYTHON_VERSION = sys.version.split()[0]
