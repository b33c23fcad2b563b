"""The invocation's evaluation context, merged into every evaluation."""

from __future__ import annotations

import pytest

from serverless_flags import FlagSession, Invocation
from serverless_flags.clients.memory import MemoryClient


@pytest.fixture(name="client")
def _client():
    return MemoryClient({"on": True})


@pytest.fixture(name="seen")
def _seen(cloud, client):
    """Return the context of an evaluation inside one invocation."""

    def seen(invocation, ask=None, **settings):
        platform = cloud()
        platform.invocations.append(invocation)
        with FlagSession(client=client, plugins=[platform], **settings) as flags:
            flags.wrap(ask or flags.is_enabled)(*([] if ask else ["on"]))
        return client.contexts

    return seen


def test_the_adapters_context_reaches_the_client(seen):
    """The adapter's evaluation context is used in every evaluation."""
    assert [{"userId": "7"}] == seen(Invocation(context={"userId": "7"}))


def test_a_lazy_context_is_built_once_at_the_first_evaluation(cloud, client):
    """It is never built without an evaluation, and once for two."""
    built = []

    def build() -> dict[str, str]:
        built.append(1)
        return {"userId": "7"}

    platform = cloud()
    platform.invocations = [Invocation(context=build), Invocation(context=build)]
    with FlagSession(client=client, plugins=[platform]) as flags:
        flags.wrap(lambda: None)()
        flags.wrap(lambda: [flags.is_enabled("on"), flags.get_variant("on")])()

    assert [1] == built
    assert [{"userId": "7"}, {"userId": "7"}] == client.contexts


def test_the_callers_context_wins(cloud, client):
    """The caller's fields win; properties are merged one by one."""
    platform = cloud()
    platform.invocations.append(
        Invocation(
            context={"userId": "7", "properties": {"path": "/", "method": "GET"}}
        )
    )
    with FlagSession(client=client, plugins=[platform]) as flags:
        flags.wrap(
            lambda: flags.is_enabled(
                "on", {"userId": "8", "properties": {"path": "/x"}}
            )
        )()

    assert [
        {"userId": "8", "properties": {"path": "/x", "method": "GET"}}
    ] == client.contexts


def test_a_context_callable_replaces_the_adapters(seen):
    """The ``context`` callback gets the whole invocation with its arguments."""

    def choose(invocation: Invocation) -> dict[str, str]:
        return {
            "userId": f"{invocation.id}-{invocation.args[0]}-{dict(invocation.kwargs)}"
        }

    contexts = seen(Invocation(id="i", context={"userId": "7"}), context=choose)

    assert [{"userId": "i-on-{}"}] == contexts


def test_a_failing_context_is_left_out(seen, caplog):
    """The failure is logged, and the flag is evaluated without the context."""

    def broken() -> dict[str, str]:
        raise KeyError("requestContext")

    assert [{}] == seen(Invocation(context=broken))
    assert "no evaluation context" in caplog.text


def test_outside_an_invocation_the_callers_context_stands_alone(client):
    """Without a wrapped function only the caller's context is used."""
    with FlagSession(client=client) as flags:
        flags.is_enabled("on", {"userId": "9"})
        flags.is_enabled("on")

    assert [{"userId": "9"}, {}] == client.contexts
