"""What a fallback gets, and what becomes of its fault: with and without flags."""

from __future__ import annotations

import asyncio

import pytest

from serverless_flags import FlagSession

fallback = pytest.importorskip("serverless_flags.clients._fallback")

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
def test_alone(given, answer) -> None:
    """Known fields are below the caller's; a fault means False."""
    saw = fallback.fallback_answer("unknown", {"userId": "7"}, given, KNOWN)

    assert answer is saw


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_an_interruption_passes(raising, error) -> None:
    """It is nobody's fault."""
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
    """Those without flags are the moments for which fallbacks are made."""
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
