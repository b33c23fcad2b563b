"""The context that a fallback function gets, and what follows when it raises."""

from __future__ import annotations

import asyncio

import pytest

from serverless_flags import FlagSession
from serverless_flags.clients import _fallback as fallback

KNOWN = {"appName": "checkout", "environment": "live"}


def _reads(name, context):
    return (name, context.get("appName"), context.get("userId")) == (
        "unknown",
        "checkout",
        "7",
    )


def _fails(name, context):
    raise KeyError(name)


CASES = {
    "says yes": (lambda name, context: True, True),
    "says no": (lambda name, context: False, False),
    "says something": (lambda name, context: "yes", True),
    "says nothing": (lambda name, context: None, False),
    "reads its context": (_reads, True),
    "fails": (_fails, False),
    "is no callable": (True, False),
}


@pytest.mark.parametrize(("given", "answer"), CASES.values(), ids=CASES.keys())
def test_without_a_client(given, answer) -> None:
    """It gets the session's and the caller's fields; if it raises, the flag is off."""
    saw = fallback.fallback_answer("unknown", {"userId": "7"}, given, KNOWN)

    assert answer is saw


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_an_interruption_propagates(raising, error) -> None:
    """A `BaseException` is not a failure of the fallback function."""
    with pytest.raises(error):
        fallback.fallback_answer("unknown", None, raising(error), KNOWN)


@pytest.mark.parametrize("client", ["lean", "unleash"])
@pytest.mark.parametrize(
    "state", ["started", "on a loop", "before a fork", "failed", "closed at once"]
)
@pytest.mark.parametrize(("given", "answer"), CASES.values(), ids=CASES.keys())
def test_in_each_state_of_a_session(
    server, cloud, monkeypatch, raising, client, state, given, answer
) -> None:
    """The states without flags are those for which fallback functions exist."""
    if state == "failed":
        monkeypatch.setattr(
            "serverless_flags._process.start.open_backend", raising(OSError)
        )
    flags = FlagSession(
        url=server.url,
        api_token="a",
        app_name="checkout",
        environment="live",
        client=client,
        plugins=[cloud(will_fork=state == "before a fork")],
    )
    if state in {"started", "failed"}:
        flags.start()
    if state == "closed at once":
        flags.close()

    async def on_a_loop() -> bool:
        return flags.is_enabled("unknown", {"userId": "7"}, given)

    if state == "on a loop":
        saw = asyncio.run(on_a_loop())
        flags.start()
    else:
        saw = flags.is_enabled("unknown", {"userId": "7"}, given)
    flags.close(1.0)

    assert answer is saw
