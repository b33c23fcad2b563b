"""Unleash's client API over the session's own HTTP; shared by the Unleash clients."""

from __future__ import annotations

import itertools
import json
import os
import sys
import time
from typing import TYPE_CHECKING, Any

from serverless_flags._client import Fetched, Outcome, Sent
from serverless_flags._version import __version__
from serverless_flags.exceptions import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from serverless_flags._config import Settings
    from serverless_flags._http import Http, Reply

SDK = f"serverless-flags:{__version__}"
CLIENT_SPEC = "6.1.0"
"""The client specification the engine follows; the server shapes its answer by it."""

UNAUTHORIZED = 401
NOT_MODIFIED = 304
OK = 200
MOST_SNAPSHOT = 32 * 1024 * 1024


class Identity:
    """Who asks: unique for each process, so made after every fork."""

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
            "unleash-appname": self.app_name,
            "unleash-instanceid": self.instance_id,
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


class UnleashApi:
    """The server of one session in one process."""

    def __init__(self, settings: Settings, url: str, identity: Identity) -> None:
        self._url = url
        self._opened: list[Http] = []
        self._identity = identity
        self._refresh_ms = str(int(settings.max_age * 1000))
        self._flush_ms = str(int((settings.flush_interval or 60.0) * 1000))
        project = settings.project_name
        self._features = "/client/features" + (
            f"?project={_quoted(project)}" if project else ""
        )
        self._provide = settings.api_token
        self._token: str | None = None
        self._to_register = tuple(settings.strategies) if settings.register else None
        self.engine_version = ""
        """The engine's version, once it is imported."""

    def fetch(self, etag: str | None, *, timeout: float) -> Fetched:
        """Ask for the flags unless they are still those of ``etag``."""
        extra = {"unleash-interval": self._refresh_ms}
        if etag:
            extra["If-None-Match"] = etag
        reply = self._ask("GET", self._features, extra, None, timeout)
        if reply.status == NOT_MODIFIED and etag:
            return Fetched(unchanged=True, etag=etag)
        if reply.status == OK and reply.error is None:
            return read_state(reply.body)._replace(etag=reply.headers.get("etag"))
        return Fetched(error=_complaint(reply), retry_after=_retry_after(reply))

    def send(
        self, bucket: Mapping[str, Any], *, timeout: float, exiting: bool = False
    ) -> Sent:
        """Send counts; never twice, but for a new token after a 401."""
        began = time.monotonic()
        body = self._identity.metrics_payload(bucket, self.engine_version)
        extra = {"unleash-interval": self._flush_ms}
        sent = self._post("/client/metrics", extra, body, timeout)
        left = timeout - (time.monotonic() - began)
        if self._to_register is not None and sent.outcome is Outcome.TAKEN and left > 0:
            strategies, self._to_register = self._to_register, None
            self.register(strategies, timeout=left)
        return sent

    def register(self, strategies: Iterable[str], *, timeout: float) -> Sent:
        """
        Tell the server of this instance and its custom strategies.

        Never on the cold path: once, after the first counts were taken. The application
        shows in Unleash by its counts alone, without strategies and the SDK's version.
        """
        interval = int(self._flush_ms) / 1000
        body = self._identity.register_payload(
            strategies, self.engine_version, interval
        )
        return self._post("/client/register", {}, body, timeout)

    def prepare(self, timeout: float) -> None:
        """
        Begin to connect, and import meanwhile what requests need: 35 ms and 8 MB.

        On the calling thread: two imports side by side take as long as one by one.
        """
        if not self._opened:
            from serverless_flags._dial import Dial  # sockets: not at import
            from serverless_flags._route import Route  # likewise

            dial = Dial(Route(self._url), timeout)
            from serverless_flags._http import Http  # see above

            self._opened.append(Http(dial.route, dial))

    def close(self) -> None:
        """Close the kept connection."""
        for http in self._opened:
            http.close()

    def _post(
        self, path: str, extra: Mapping[str, str], body: bytes, timeout: float
    ) -> Sent:
        reply = self._ask("POST", path, extra, body, timeout)
        error = None if reply.outcome is Outcome.TAKEN else _complaint(reply)
        return Sent(reply.outcome, reply.status, error, _retry_after(reply))

    def _ask(
        self,
        method: str,
        path: str,
        extra: Mapping[str, str],
        body: bytes | None,
        timeout: float,
    ) -> Reply:
        began = time.monotonic()
        try:
            reply = self._request(method, path, extra, body, timeout)
            left = timeout - (time.monotonic() - began)
            if reply.status == UNAUTHORIZED and callable(self._provide) and left > 0:
                self._token = None  # the secret may have been rotated
                reply = self._request(method, path, extra, body, left)
        except ConfigurationError as error:
            return _refused(str(error))
        except Exception as error:  # noqa: BLE001  reason: the user's api_token() may raise anything
            return _refused(f"api_token() raised {type(error).__name__}")
        return reply

    def _request(
        self,
        method: str,
        path: str,
        extra: Mapping[str, str],
        body: bytes | None,
        timeout: float,
    ) -> Reply:
        if self._token is None and self._provide is not None:
            provide: Any = self._provide
            self._token = provide() if callable(provide) else provide
        headers = {**self._identity.headers(), **extra}
        if self._token is not None:
            headers["Authorization"] = self._token
        self.prepare(timeout)
        return self._opened[0].request(method, path, headers, body, timeout=timeout)


def read_state(body: bytes) -> Fetched:
    """
    Decode what may be a state of flags; whether it is one, the engine says.

    It parses each state aside, and what it refuses changes nothing. A parse of our own
    would hold the interpreter's lock for 17 ms at 5,000 flags.
    """
    try:
        text = body.removeprefix(_BYTE_ORDER_MARK).decode()
    except ValueError:
        text = ""
    if text.lstrip().startswith("{"):
        return Fetched(body=text)
    return Fetched(error="the answer is not JSON; is the url the one of the API?")


def count_flags(body: str) -> int | None:
    """Return how many flags a state holds; None for one of events."""
    features = json.loads(body, object_hook=_outline).get("features")
    return len(features) if isinstance(features, list) else None


def read_snapshot(path: str) -> Fetched:
    """Read a snapshot file: the body of ``/api/client/features``, JSON, bounded."""
    try:
        with open(path, "rb") as file:
            body = file.read(MOST_SNAPSHOT + 1)
    except (OSError, ValueError) as error:
        return Fetched(error=f"the snapshot cannot be read: {error}")
    if len(body) > MOST_SNAPSHOT:
        return Fetched(error=f"the snapshot is larger than {MOST_SNAPSHOT} bytes")
    fetched = read_state(body)
    if fetched.error is not None:
        why = f"the snapshot {path} is not the body of /api/client/features"
        return Fetched(error=why)
    return fetched


def _outline(part: dict[str, Any]) -> dict[str, Any]:
    """Keep of each object what `count_flags` looks at: a tenth of the memory."""
    return part if "features" in part or "events" in part else _UNSEEN


def _refused(why: str) -> Reply:
    from serverless_flags._http import Reply  # with the first request

    return Reply(Outcome.REFUSED, error=why)


def _complaint(reply: Reply) -> str:
    if reply.status is None or reply.error is not None:
        return reply.error or "no answer"
    cure = _CURES.get(reply.status, "")
    return f"the server answered {reply.status}{cure}"


def _retry_after(reply: Reply) -> float | None:
    value = reply.headers.get("retry-after", "").strip()
    return float(value) if value.isdecimal() and len(value) < 10 else None  # noqa: PLR2004  reason: a year has fewer digits


def _quoted(text: str) -> str:
    from urllib.parse import quote  # only with a project

    return quote(text, safe="")


_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_UNSEEN: dict[str, Any] = {}
_CURES = {
    401: " (is api_token a backend token of this server?)",
    403: " (may the token read this project and environment?)",
    404: " (does the url end in /api?)",
}
_PYTHON = {"cpython": "CPython", "pypy": "PyPy"}.get(
    sys.implementation.name, sys.implementation.name
)
"""As `platform` says it, whose import takes 1 ms."""
_PYTHON_VERSION = sys.version.split()[0]
