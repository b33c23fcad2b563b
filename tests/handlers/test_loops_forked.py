"""A forked child has its own event loops."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import threading
from typing import Any

import pytest


@pytest.fixture(name="handler")
def _handler(lambda_like) -> Any:
    """Return a wrapped ``async def`` that returns the loop it runs on."""

    @lambda_like.wrap
    async def handler(user: str) -> asyncio.AbstractEventLoop:
        await asyncio.sleep(0)
        assert user == lambda_like.ask()
        return asyncio.get_running_loop()

    return handler


def _child(handler: Any, parents: list[Any], answers: Any) -> None:
    loop = handler("alice")
    answers.put((loop not in parents, loop is handler("bob")))


def _ask_child(handler: Any, parents: list[Any]) -> Any:
    """Return whether a forked child has its own loop, and keeps it."""
    context = multiprocessing.get_context("fork")
    answers = context.SimpleQueue()
    child = context.Process(target=_child, args=(handler, parents, answers))
    child.start()
    child.join(60)
    return answers.get() if child.exitcode == 0 else child.exitcode


FORKS = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork"),
    pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning"),
]


class TestAForkedChild:
    """No loop is shared with the parent, this package's or the module's."""

    pytestmark = FORKS

    def test_has_its_own_loop(self, handler):
        """The parent continues with the loop that it had."""
        kept = handler("alice")

        assert (True, True) == _ask_child(handler, [kept])
        assert kept is handler("alice")

    def test_does_not_use_the_modules_loop(self, handler):
        """The parent's module can still be woken by its threads."""
        module = asyncio.new_event_loop()
        asyncio.set_event_loop(module)
        try:
            seen = _ask_child(handler, [module])
            still_wakes = module.run_until_complete(_woken())
        finally:
            asyncio.set_event_loop(None)
            module.close()

        assert (True, True) == seen
        assert still_wakes

    def test_of_a_thread_does_not_touch_the_main_threads_loop(self, handler):
        """Python drops a child's other threads with their thread-local values."""
        kept, seen = handler("alice"), []
        thread = threading.Thread(
            target=lambda: seen.append(_ask_child(handler, [kept]))
        )
        thread.start()
        thread.join()

        assert [(True, True)] == seen
        assert kept is handler("alice")


async def _woken() -> bool:
    """Return whether another thread can wake this loop."""
    loop, woken = asyncio.get_running_loop(), asyncio.Event()
    threading.Timer(0.01, loop.call_soon_threadsafe, [woken.set]).start()
    await asyncio.wait_for(woken.wait(), 30)
    return woken.is_set()
