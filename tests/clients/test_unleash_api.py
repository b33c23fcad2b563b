"""Unleash's client API: the requests, and the meaning of answers."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest

from serverless_flags._protocols import Fetched, Outcome
from serverless_flags.clients import _unleash_api
from serverless_flags.testing import FlagServer

BUCKET = {"start": "1", "stop": "2", "toggles": {"a": {"yes": 1, "no": 0}}}


class Mine:
    """A custom strategy."""

    def apply(self, _parameters, _context):
        return True


class TestFetch:
    def test_a_state_and_its_confirmation(self, api_of) -> None:
        """The second request sends the ETag and gets a 304."""
        with FlagServer({"a": True, "b": False}) as server:
            api = api_of(url=server.url, api_token=server.token)
            first = api.fetch(None, timeout=20)
            second = api.fetch(first.etag, timeout=20)
            api.close()

        assert (2, None) == (first.body.count("strategies"), first.error)
        assert ["a", "b"] == [f["name"] for f in json.loads(first.body)["features"]]
        assert Fetched(unchanged=True, etag=first.etag) == second

    def test_the_request(self, api_of, server, state_of) -> None:
        """Below the url, with the token, the interval and the identity."""
        server.answer(200, state_of("a"))
        api_of(api_token="t", app_name="x", max_age=15).fetch(None, timeout=20)
        asked = server.asked[0]

        assert ("GET", "/api/client/features") == asked[:2]
        assert "t" == asked.headers["authorization"]
        assert "15000" == asked.headers["unleash-interval"]
        assert "checkout" == asked.headers["unleash-appname"]
        assert "if-none-match" not in asked.headers

    def test_the_flags_of_one_project(self, api_of, server, state_of) -> None:
        """Its name is quoted."""
        for etag in (None, '"1"'):
            server.answer(200, state_of("a"))
            api_of(project_name="my project/1").fetch(etag, timeout=20)

        assert "/api/client/features?project=my%20project%2F1" == server.asked[0].path
        assert '"1"' == server.asked[1].headers["if-none-match"]

    def test_a_state_without_an_etag(self, api_of, server, state_of) -> None:
        """The next request asks for the whole state again."""
        server.answer(200, state_of("a"))
        fetched = api_of().fetch(None, timeout=20)

        assert fetched.etag is None
        assert state_of("a") == fetched.body

    @pytest.mark.parametrize(
        ("status", "cure"),
        [
            (401, " (is api_token a backend token of this server?)"),
            (404, " (does the url end in /api?)"),
            (500, ""),
            (304, ""),
            (204, ""),
        ],
    )
    def test_another_status_is_an_error(self, api_of, server, status, cure) -> None:
        """It is named, with its usual cause; an unexpected 304 is an error too."""
        server.answer(status)
        fetched = api_of(api_token="t").fetch(None, timeout=20)

        assert Fetched(error=f"the server answered {status}{cure}") == fetched

    def test_no_answer_is_an_error(self, api_of, server) -> None:
        """The error of the connection is returned."""
        server.stop()
        fetched = api_of().fetch(None, timeout=20)

        assert fetched.error.startswith("ConnectionRefusedError: ")

    def test_an_incomplete_answer_is_an_error(self, api_of, server) -> None:
        """It is never used as a state, whatever the status."""
        server.answer(200, "no gzip at all", Content_Encoding="gzip")

        assert api_of().fetch(None, timeout=20).error.startswith("zlib.error: ")

    @pytest.mark.parametrize("body", ["<html>", "[]", ""])
    def test_an_html_page_is_an_error(self, api_of, server, body) -> None:
        """A login page or another API answers 200 too."""
        server.answer(200, body, ETag='"1"')
        fetched = api_of().fetch(None, timeout=20)

        assert fetched.body is None
        assert fetched.error.endswith("does the url point to the API?")

    @pytest.mark.parametrize(
        ("header", "seconds"),
        [
            ("120", 120.0),
            (" 7 ", 7.0),
            ("0", 0.0),
            ("999999999", 999999999.0),
            ("9999999999", None),
            ("1.5", None),
            ("-1", None),
            ("soon", None),
            ("Wed, 21 Oct 2015 07:28:00 GMT", 0.0),
            ("Wed, 21 Oct 20155555555555 07:28:00 GMT", None),
            ("", None),
        ],
    )
    def test_retry_after(self, api_of, server, header, seconds) -> None:
        """Seconds or a date; a date in the past means 0."""
        server.answer(429, Retry_After=header)

        assert seconds == api_of().fetch(None, timeout=20).retry_after


class TestSend:
    def test_counts_are_accepted(self, api_of) -> None:
        """According to the server's own record."""
        with FlagServer({"a": True}) as server:
            api = api_of(url=server.url, api_token=server.token)
            sent = api.send(BUCKET, timeout=20)
            api.close()

            assert (Outcome.TAKEN, 202, None) == (sent.outcome, sent.status, sent.error)
            assert 1 == server.counts("a").yes

    def test_the_request(self, api_of, server) -> None:
        """With the interval and the engine's version."""
        server.answer(202)
        api = api_of()
        api.flush_interval = 30.0
        api.engine_version = "1.2"
        api.send(BUCKET, timeout=20)
        asked = server.asked[0]
        sent = json.loads(asked.body)

        assert ("POST", "/api/client/metrics") == asked[:2]
        assert "30000" == asked.headers["unleash-interval"]
        assert "application/json" == asked.headers["content-type"]
        assert BUCKET == sent["bucket"]
        assert "1.2" == sent["yggdrasilVersion"]
        assert asked.headers["unleash-instanceid"] == sent["instanceId"]
        assert asked.headers["unleash-connection-id"] == sent["connectionId"]

    def test_the_application_is_registered_once(self, api_of, server) -> None:
        """After the first counts were accepted, on the same connection."""
        for status in (503, 202, 202, 202):
            server.answer(status)
        api = api_of(register=True, strategies={"mine": Mine()})
        for _ in range(3):
            api.send(BUCKET, timeout=20)
        asked = [request.path for request in server.asked]

        metrics, register = "/api/client/metrics", "/api/client/register"
        assert [metrics, metrics, register, metrics] == asked
        assert ["mine"] == json.loads(server.asked[2].body)["strategies"]

    def test_without_time_the_application_is_registered_later(
        self, api_of, server, monkeypatch
    ) -> None:
        """The timeout is for both requests together."""
        for _ in range(3):
            server.answer(202)
        api = api_of(register=True)
        with monkeypatch.context() as patching:
            moments = iter([0.0, 0.0, 0.0])
            clock = SimpleNamespace(monotonic=lambda: next(moments, 21.0))
            patching.setattr(_unleash_api, "time", clock)
            api.send(BUCKET, timeout=20)
        first = len(server.asked)
        api.send(BUCKET, timeout=20)

        assert (1, 3) == (first, len(server.asked))

    @pytest.mark.parametrize("interval", [0, 60])
    def test_the_interval_in_effect_is_sent(self, api_of, server, interval) -> None:
        """Not the setting: without a shutdown signal each invocation flushes."""
        server.answer(202)
        api = api_of(flush_interval=7)
        api.flush_interval = float(interval)
        api.send(BUCKET, timeout=20)

        assert str(1000 * interval) == server.asked[0].headers["unleash-interval"]

    @pytest.mark.parametrize(
        ("status", "outcome"), [(503, Outcome.NOT_DELIVERED), (504, Outcome.UNKNOWN)]
    )
    def test_the_result_of_sending(self, api_of, server, status, outcome) -> None:
        """The outcome, the status, an error message and Retry-After."""
        server.answer(status, Retry_After="9")
        sent = api_of().send(BUCKET, timeout=20)

        assert (outcome, status, f"the server answered {status}", 9.0) == (
            sent.outcome,
            sent.status,
            sent.error,
            sent.retry_after,
        )

    def test_an_accepted_bucket_has_no_error(self, api_of, server) -> None:
        """Even if the body of the answer is incomplete."""
        server.answer(202, "no gzip at all", Content_Encoding="gzip")
        sent = api_of().send(BUCKET, timeout=20)

        assert (Outcome.TAKEN, None) == (sent.outcome, sent.error)


class TestRegister:
    @pytest.mark.parametrize(
        ("status", "error"), [(202, None), (500, "the server answered 500")]
    )
    def test_the_process_is_registered(self, api_of, server, status, error) -> None:
        """With the custom strategies that it can evaluate."""
        server.answer(status)
        api = api_of()
        api.flush_interval = 30.0
        api.engine_version = "1.2"
        sent = api.register(["mine"], timeout=20)
        asked = server.asked[0]
        body = json.loads(asked.body)

        assert ("POST", "/api/client/register") == asked[:2]
        assert (["mine"], 30, "1.2") == (
            body["strategies"],
            body["interval"],
            body["yggdrasilVersion"],
        )
        assert (status, error) == (sent.status, sent.error)


def test_a_connection_opened_after_close_is_not_kept(api_of, server) -> None:
    """A request that begins as the session closes leaves nothing open."""
    server.answer(503)
    api = api_of()
    api.close()
    api.fetch(None, timeout=20)

    assert not api._opened[0]._idle
