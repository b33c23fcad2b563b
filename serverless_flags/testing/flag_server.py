"""An Unleash server for tests and demos: its client API, on loopback, in a thread."""

from __future__ import annotations

import socket
import threading
from typing import TYPE_CHECKING, Any

from serverless_flags.exceptions import ConfigurationError
from serverless_flags.testing._client_api import ClientApi, Recorded
from serverless_flags.testing._wsgi_server import LoopbackServer
from serverless_flags.testing.flag_state import FlagState

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping

    from typing_extensions import Self

    from serverless_flags.testing.flag_counts import Counts

__all__ = ["FlagServer", "Recorded"]

DEFAULT_TOKEN = "default:development.embedded-flag-server"  # noqa: S105  reason: opens nothing but a server on loopback
"""The token that functions send, in the form of Unleash's backend tokens."""


class FlagServer:
    """
    Serve flags to functions and add up what they count; a context manager.

    Args:
        flags: name to bool, a body of ``/api/client/features``, or the path of a JSON
            file with either, which is read again when it changes.
        port: 0 takes a free one; it is kept over ``stop`` and ``start``.
        token: what a function must send in ``Authorization``.

    Raises:
        ConfigurationError: when the flags are malformed.
    """

    def __init__(
        self,
        flags: Mapping[str, Any] | str | os.PathLike[str],
        *,
        port: int = 0,
        token: str = DEFAULT_TOKEN,
    ) -> None:
        self.port = port
        self.token = token
        self._api = ClientApi(FlagState.of(flags), token)
        self._server: LoopbackServer | None = None
        self._thread = threading.Thread()

    @property
    def url(self) -> str:
        """The address as UnleashClient's ``url``: it ends in ``/api``."""
        return f"http://127.0.0.1:{self.port}/api"

    @property
    def environ(self) -> dict[str, str]:
        """The environment that points a function at this server."""
        return {"UNLEASH_URL": self.url, "UNLEASH_API_TOKEN": self.token}

    @property
    def requests(self) -> list[Recorded]:
        """The requests answered so far, oldest first; a copy."""
        return list(self._api.requests)

    def set(self, name: str, enabled: bool) -> None:  # noqa: FBT001  reason: set("simpleFlag", False) reads as what it does
        """Turn a flag on or off for the next fetch; a new name adds a flag."""
        self._api.set(name, enabled=enabled)

    def counts(self, name: str, *, app_name: str | None = None) -> Counts:
        """Return what all functions, or those of one name, have counted for a flag."""
        return self._api.counts.of(name, app_name)

    def wait_for_counts(
        self, name: str, total: int, timeout: float, *, app_name: str | None = None
    ) -> Counts:
        """Return the counts at ``total`` evaluations, or at ``timeout`` as they are."""
        return self._api.counts.wait(name, total, timeout, app_name)

    def start(self) -> None:
        """
        Answer requests from a daemon thread; does nothing when it runs.

        Raises:
            ConfigurationError: when the port is taken.
        """
        if self._server is not None:
            return
        try:
            listener = socket.create_server(("127.0.0.1", self.port), backlog=128)
        except OSError as error:
            message = f"port {self.port} cannot be used ({error.strerror}): take port 0"
            raise ConfigurationError(message) from error
        with listener:  # the server keeps a duplicate
            self.port = listener.getsockname()[1]
            self._server = self._open(listener)
        self._thread = threading.Thread(
            target=self._server.serve_forever,
            kwargs={"poll_interval": 0.02},
            name="serverless-flags-server",
            daemon=True,
        )
        self._thread.start()

    def _open(self, listener: socket.socket) -> LoopbackServer:
        """Return the server of one listening socket."""
        return LoopbackServer(listener, self._api)

    def stop(self) -> None:
        """Refuse new connections and drop the kept ones; idempotent."""
        server, self._server = self._server, None
        if server is not None:
            server.shutdown()
            self._thread.join()  # it closes the listening socket

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.stop()
