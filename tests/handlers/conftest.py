"""Sessions on platforms that await handlers and on one that does not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from serverless_flags import FlagSession, Platform, hookimpl
from serverless_flags.clients.memory import MemoryClient

if TYPE_CHECKING:
    from collections.abc import Iterator

    from serverless_flags import Invocation


class Cloud(Platform):
    """A platform that records when invocations begin and end."""

    name = "cloud"

    def __init__(self, *, awaits: bool) -> None:
        self.awaits_handlers = awaits
        self.events: list[str] = []

    @hookimpl
    def detect_platform(self) -> Platform:
        return self

    @hookimpl
    def connect_instance(self) -> bool:
        return True

    @hookimpl
    def begin_invocation(self) -> None:
        self.events.append("begin")

    @hookimpl
    def end_invocation(self) -> None:
        self.events.append("end")


class Flags(FlagSession):
    """A session whose functions take the user as their argument."""

    def __init__(self, *, awaits: bool) -> None:
        self.client = MemoryClient({"on": True})
        self.cloud = Cloud(awaits=awaits)
        super().__init__(client=self.client, plugins=[self.cloud], context=_user_of)

    def ask(self) -> str | None:
        """Evaluate a flag; return the user for whom it was evaluated."""
        self.is_enabled("on")
        user: str | None = self.client.contexts[-1].get("userId")
        return user

    @property
    def events(self) -> list[str]:
        """The hooks that were called on the platform."""
        return self.cloud.events


def _user_of(invocation: Invocation) -> dict[str, Any]:
    return {"userId": invocation.args[0]} if invocation.args else {}


@pytest.fixture(name="flags", params=[True, False], ids=["awaits", "cannot await"])
def _flags(request) -> Iterator[Flags]:
    """Return a session on either kind of platform."""
    with Flags(awaits=request.param) as flags:
        yield flags


@pytest.fixture(name="awaiting")
def _awaiting() -> Iterator[Flags]:
    """Return a session on a platform that awaits handlers, as Google and Azure do."""
    with Flags(awaits=True) as flags:
        yield flags


@pytest.fixture(name="lambda_like")
def _lambda_like() -> Iterator[Flags]:
    """Return a session on a platform that does not await handlers, as AWS Lambda."""
    with Flags(awaits=False) as flags:
        yield flags
