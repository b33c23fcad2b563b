"""An ``async def`` that the runtime does not await runs as in `asyncio.run`."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import subprocess
import sys
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from serverless_flags._invocation import event_loops as event_loops_module


@pytest.fixture(name="handler")
def _handler(lambda_like) -> Any:
    """Return a wrapped ``async def`` that returns the loop it runs on."""

    @lambda_like.wrap
    async def handler(user: str) -> asyncio.AbstractEventLoop:
        await asyncio.sleep(0)
        assert user == lambda_like.ask()
        return asyncio.get_running_loop()

    return handler


def test_a_thread_keeps_its_loop(handler):
    """Clients bound to the loop can be used in every invocation."""
    loop = handler("alice")

    assert loop is handler("bob")
    assert not loop.is_closed()


def test_parallel_threads_have_loops_of_their_own(lambda_like):
    """Calls on several threads run at the same time, each with its own context."""
    together = threading.Barrier(3, timeout=30)

    @lambda_like.wrap
    async def handler(user: str) -> tuple[str | None, asyncio.AbstractEventLoop]:
        together.wait()
        return user, asyncio.get_running_loop()

    with ThreadPoolExecutor(3) as pool:
        answers = list(pool.map(handler, ["alice", "bob", "carol"]))

    assert ["alice", "bob", "carol"] == [user for user, _ in answers]
    assert 3 == len({loop for _, loop in answers})


def test_a_loop_is_closed_when_its_thread_ends(handler):
    """Nothing is left open, and nothing is reported as left open."""
    loops = []
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        thread = threading.Thread(target=lambda: loops.append(handler("alice")))
        thread.start()
        thread.join()
        gc.collect()

    assert loops[0].is_closed()


def test_a_closed_loop_is_replaced(handler):
    """A function that closes the loop affects one invocation only."""
    first = handler("alice")
    first.close()

    assert first is not handler("alice")


def test_the_loop_that_the_module_has_set_is_used(handler):
    """Objects that a module has bound to its own loop can be awaited."""
    loop = asyncio.new_event_loop()
    try:
        asyncio.set_event_loop(loop)
        used = handler("alice")
        loop.close()
        after = handler("alice")
    finally:
        asyncio.set_event_loop(None)

    assert loop is used
    assert loop is not after


def test_the_loop_of_another_thread_is_not_used(handler):
    """A loop that is set on one thread belongs to that thread."""
    loop = asyncio.new_event_loop()
    try:
        asyncio.set_event_loop(loop)
        with ThreadPoolExecutor(1) as pool:
            used = pool.submit(handler, "alice").result()
    finally:
        asyncio.set_event_loop(None)
        loop.close()

    assert loop is not used


UNTOUCHED = """
import asyncio, warnings
warnings.simplefilter("error")
made = []
class Policy(asyncio.DefaultEventLoopPolicy):
    def new_event_loop(self):
        made.append(1)
        return super().new_event_loop()
asyncio.set_event_loop_policy(Policy())
from serverless_flags._invocation import event_loops as event_loops_module
async def work():
    return asyncio.get_running_loop()
loop = event_loops_module.run(work)
assert loop is event_loops_module.run(work)
assert made == [1], made
asyncio.set_event_loop(asyncio.new_event_loop())
assert event_loops_module.run(work) is not loop
asyncio.get_event_loop_policy().get_event_loop().close()
"""


@pytest.mark.skipif(sys.version_info >= (3, 14), reason="policies are deprecated")
def test_looking_for_a_loop_creates_none_and_does_not_warn():
    """On a fresh main thread ``get_event_loop`` would create a loop, or warn."""
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-c", UNTOUCHED],
        capture_output=True,
        text=True,
        check=False,
    )

    assert (0, "") == (done.returncode, done.stderr)


@pytest.mark.skipif(sys.version_info >= (3, 14), reason="policies are deprecated")
def test_a_policy_of_another_kind_has_no_loop(handler, monkeypatch):
    """A policy without the default policy's attribute has set no loop."""
    monkeypatch.setattr(asyncio, "get_event_loop_policy", object)

    assert handler("alice") is handler("bob")


# -- interruptions ---------------------------------------------------------------------
class _FromOutside(BaseException):
    """An exception that a signal handler raises."""


@pytest.mark.parametrize("kind", [KeyboardInterrupt, TimeoutError, _FromOutside])
@pytest.mark.parametrize("where", ["waiting", "working"])
def test_an_interrupted_coroutine_is_cancelled_and_the_loop_is_kept(
    lambda_like, kind, where
):
    """The exception propagates; the coroutine cleans up before the invocation ends."""
    cleaned, interrupted = [], threading.Event()

    def interrupt(*_: object) -> None:
        if not interrupted.is_set():
            interrupted.set()
            raise kind

    @lambda_like.wrap
    async def handler(user: str, *, interrupts: bool) -> str | None:
        if not interrupts:
            return lambda_like.ask()
        loop = asyncio.get_running_loop()
        try:
            if where == "working":
                signal.raise_signal(signal.SIGALRM)
            loop.run_in_executor(None, _raise_soon, interrupted)
            await asyncio.Event().wait()
        finally:
            cleaned.append(lambda_like.ask())

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        with pytest.raises(kind):
            handler("alice", interrupts=True)
    finally:
        signal.signal(signal.SIGALRM, before)

    assert ["alice"] == cleaned
    assert "bob" == handler("bob", interrupts=False)
    assert ["begin", "end"] * 2 == lambda_like.events
    assert lambda_like.ask() is None


def _raise_soon(interrupted: threading.Event) -> None:
    """Send a signal until it has interrupted the main thread."""
    while not interrupted.wait(0.05):
        os.kill(os.getpid(), signal.SIGALRM)


def test_an_interrupted_coroutine_that_does_not_end_is_reported(
    lambda_like, monkeypatch, caplog
):
    """It is waited for at most a second; then it continues in the next invocation."""
    monkeypatch.setattr(event_loops_module, "GRACE", 0.01)
    release = asyncio.Event()
    ended = []

    @lambda_like.wrap
    async def handler(user: str) -> str | None:
        if user != "alice":
            release.set()
            await asyncio.sleep(0.01)
            return user
        asyncio.get_running_loop().call_soon(_interrupt)
        while not release.is_set():
            try:
                await release.wait()
            except asyncio.CancelledError:
                continue
        ended.append(user)
        return None

    with pytest.raises(KeyboardInterrupt):
        handler("alice")

    assert "has not ended 0.01 s after its cancellation" in caplog.text
    assert "bob" == handler("bob")
    assert ["alice"] == ended


def _interrupt() -> None:
    raise KeyboardInterrupt


def test_a_coroutine_that_cannot_be_begun_is_closed(lambda_like, monkeypatch):
    """Whatever prevents it, no warning says that it was never awaited."""
    monkeypatch.setattr(event_loops_module, "_own_loop", _interrupt)

    @lambda_like.wrap
    async def handler(user: str) -> None: ...

    with pytest.raises(KeyboardInterrupt):
        handler("alice")
    gc.collect()

    assert ["begin", "end"] == lambda_like.events


def test_an_object_that_is_not_awaitable_raises_a_type_error(lambda_like):
    """An object that claims to be async and is not gets asyncio's own message."""

    class Odd:
        async def __call__(self, user: str) -> None: ...

    odd = Odd()
    handler = lambda_like.wrap(odd)
    Odd.__call__ = lambda self, user: 7  # type: ignore[method-assign]  # reason: the point

    with pytest.raises(TypeError, match="awaitable"):
        handler("alice")
