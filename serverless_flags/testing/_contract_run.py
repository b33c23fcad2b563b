"""One instance of a contract's function, its flag server, and what is asked of them."""

from __future__ import annotations

import contextlib
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from serverless_flags.testing._contract_names import FLAG
from serverless_flags.testing.faults import Fault, FaultyFlagServer

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator, Mapping

    from serverless_flags.testing.emulator import Emulator, Exit
    from serverless_flags.testing.flag_counts import Counts

PATIENCE = 20.0
"""Seconds after which a wait that should have ended is given up."""

UNHURRIED = {
    "SERVERLESS_FLAGS_START_TIMEOUT": str(PATIENCE),
    "SERVERLESS_FLAGS_REFRESH_TIMEOUT": str(PATIENCE),
    "SERVERLESS_FLAGS_FLUSH_TIMEOUT": str(PATIENCE),
    "SERVERLESS_FLAGS_REQUEST_TIMEOUT": str(PATIENCE),
}
"""A busy machine must not decide a test that is not about time."""


class Trial:
    """
    A started instance and its flag server, whose one flag is on.

    Args:
        instance: of a function that wraps `flagged.answer`.
        server: which the instance asks.
    """

    def __init__(self, instance: Emulator, server: FaultyFlagServer) -> None:
        self.instance = instance
        self.server = server
        self.asked = 0
        """Invocations so far."""
        self.waited = 0.0
        """Seconds that their callers have waited in all."""

    def ask(self, do: str = "") -> dict[str, Any]:
        """Invoke the function and return what it answers."""
        self.asked += 1
        answer = self.instance.request(f"/?do={do}")
        self.waited += answer.seconds
        if answer.status != 200:  # noqa: PLR2004  reason: HTTP's own number
            message = f"{answer.status} {answer.body}\n{self.instance.output}"
            raise AssertionError(message)
        fields: dict[str, Any] = answer.json()
        return fields

    def ask_at_once(self, invocations: int) -> list[dict[str, Any]]:
        """Invoke the function from as many threads."""
        with ThreadPoolExecutor(invocations) as callers:
            return list(callers.map(self.ask, [""] * invocations))

    def ask_until(self, condition: Callable[[dict[str, Any]], bool], do: str) -> None:
        """Invoke the function until an answer fulfils ``condition``."""
        deadline = time.monotonic() + PATIENCE
        while not condition(self.ask(do)):
            if time.monotonic() > deadline:
                message = f"it did not come to that in {PATIENCE} s"
                raise AssertionError(message)

    @property
    def fetches(self) -> int:
        """How often the flags were asked for."""
        return sum(request.method == "GET" for request in self.server.exchanges)

    @property
    def counts(self) -> Counts:
        """What the server has counted."""
        return self.server.counts(FLAG)

    @contextlib.contextmanager
    def frozen(self, seconds: float) -> Iterator[None]:
        """Freeze the instance for at least so long after the block."""
        self.instance.freeze()
        yield
        time.sleep(seconds)
        self.instance.thaw()

    def end(self) -> Exit:
        """End the instance as its platform does."""
        return self.instance.terminate()

    def signal(self) -> None:
        """Send SIGTERM whatever the instance is doing, as when it is too slow."""
        self.instance._send_sigterm()  # noqa: SLF001  reason: platforms override it

    def wait_for_end(self) -> bool:
        """Return whether the instance ended within its grace; it has ended then."""
        try:
            self.instance.process.wait(self.instance.shutdown_grace)
        except subprocess.TimeoutExpired:
            self.instance.kill()
            return False
        return True


@contextlib.contextmanager
def trial(
    emulator: Callable[[Mapping[str, str]], Emulator],
    environ: Mapping[str, str],
    *,
    fault: Fault = Fault.NONE,
    round_trip: float = 0.0,
    tls: ssl.SSLContext | None = None,
) -> Iterator[Trial]:
    """Start a server and an instance; end both."""
    server = FaultyFlagServer({FLAG: True}, round_trip=round_trip, tls=tls)
    with server:
        server.fault = fault
        with emulator({**server.environ, **environ}) as instance:
            yield Trial(instance, server)
            server.release()


def expect(what: str, expected: object, actual: object) -> None:
    """Compare: pytest rewrites no assertion of an installed package."""
    if expected != actual:
        message = f"{what}: expected {expected!r}, not {actual!r}"
        raise AssertionError(message)


def require(what: str, fulfilled: bool) -> None:  # noqa: FBT001  reason: as an assert reads
    """Assert with words of our own, for the same reason."""
    if not fulfilled:
        message = f"not so: {what}"
        raise AssertionError(message)
