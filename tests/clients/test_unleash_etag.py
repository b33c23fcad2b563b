"""An ETag that the server rejects is not sent again."""

from __future__ import annotations

import pytest

from serverless_flags._protocols import Fetched


def conditional(server):
    return ["if-none-match" in asked.headers for asked in server.asked]


@pytest.mark.parametrize("status", [400, 403, 412, 413, 416, 431])
def test_a_rejected_etag_is_dropped_at_once(api_of, server, state_of, status) -> None:
    """The same fetch gets the flags, and the ETag is never sent again."""
    server.answer(status)
    server.answer(200, state_of("a"), ETag='"1"')
    server.answer(200, state_of("b"), ETag='"1"')
    api = api_of()
    first = api.fetch('"1"', timeout=20)
    second = api.fetch('"1"', timeout=20)

    assert (state_of("a"), state_of("b")) == (first.body, second.body)
    assert [True, False, False] == conditional(server)


def test_the_next_etag_is_sent(api_of, server, state_of) -> None:
    """Only that ETag was rejected."""
    server.answer(431)
    server.answer(200, state_of("a"), ETag='"2"')
    server.answer(304)
    api = api_of()
    api.fetch('"1"', timeout=20)

    assert Fetched(unchanged=True, etag='"2"') == api.fetch('"2"', timeout=20)


def test_an_etag_that_was_not_the_reason_is_kept(api_of, server) -> None:
    """If the request without it fails as well."""
    for status in (400, 400, 304):
        server.answer(status)
    api = api_of()

    assert "answered 400" in api.fetch('"1"', timeout=20).error
    assert api.fetch('"1"', timeout=20).unchanged
    assert [True, False, True] == conditional(server)


@pytest.mark.parametrize("status", [401, 404, 407, 408, 429, 500, 503])
def test_an_answer_with_another_reason_keeps_the_etag(api_of, server, status) -> None:
    """A server that answers 429 is not asked twice."""
    server.answer(status)
    server.answer(304)
    api = api_of()

    assert f"answered {status}" in api.fetch('"1"', timeout=20).error
    assert api.fetch('"1"', timeout=20).unchanged


def test_without_time_it_is_dropped_next_time(
    api_of, server, state_of, monkeypatch
) -> None:
    """The fetch ends at its deadline."""
    from types import SimpleNamespace

    from serverless_flags.clients import _unleash_api

    server.answer(431)
    server.answer(200, state_of("a"))
    api = api_of()
    with monkeypatch.context() as patching:
        moments = iter([0.0, 0.0, 0.0])
        clock = SimpleNamespace(monotonic=lambda: next(moments, 21.0))
        patching.setattr(_unleash_api, "time", clock)
        assert "answered 431" in api.fetch('"1"', timeout=20).error

    assert state_of("a") == api.fetch('"1"', timeout=20).body
    assert [True, False] == conditional(server)


@pytest.mark.parametrize("etag", ["", '"' + "x" * 1024, '"a\tb"', '"\x1b"', '"\xe9"'])
def test_an_odd_etag_is_never_kept(api_of, server, state_of, etag) -> None:
    """Servers reject long headers, and control characters cannot be sent."""
    server.answer(200, state_of("a"), ETag=etag)

    assert api_of().fetch(None, timeout=20).etag is None


def test_the_longest_etag_is_kept(api_of, server, state_of) -> None:
    """A usual one has some 50 characters."""
    etag = '"' + "x" * 1022 + '"'
    server.answer(200, state_of("a"), ETag=etag)

    assert etag == api_of().fetch(None, timeout=20).etag
