"""Unleash's client API: what is asked, with which token, and what an answer means."""

from __future__ import annotations

import json
import uuid
from types import SimpleNamespace

import pytest

from serverless_flags._client import Fetched, Outcome
from serverless_flags._config import load_settings
from serverless_flags.clients import _unleash_api
from serverless_flags.clients._unleash_api import (
    Identity,
    UnleashApi,
    check_state,
    read_snapshot,
)
from serverless_flags.testing import FlagServer

BUCKET = {"start": "1", "stop": "2", "toggles": {"a": {"yes": 1, "no": 0}}}


@pytest.fixture(name="api_of")
def _api_of(server):
    """Return what makes the API of a server, of ours if none is named."""
    made = []

    def make(**given):
        settings = load_settings({"url": server.url, **given}, {})
        api = UnleashApi(settings, settings.url, Identity(settings, "checkout"))
        made.append(api)
        return api

    yield make
    for api in made:
        api.close()


class TestFetch:
    def test_a_state_and_its_confirmation(self, api_of) -> None:
        """The second request asks only whether it is still the same."""
        with FlagServer({"a": True, "b": False}) as server:
            api = api_of(url=server.url, api_token=server.token)
            first = api.fetch(None, timeout=20)
            second = api.fetch(first.etag, timeout=20)
            api.close()

        assert (2, None) == (first.flags, first.error)
        assert ["a", "b"] == [f["name"] for f in json.loads(first.body)["features"]]
        assert Fetched(unchanged=True, etag=first.etag) == second

    def test_the_request(self, api_of, server, state_of) -> None:
        """Below the url, with the token, the interval and who asks."""
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

    def test_a_state_without_etag(self, api_of, server, state_of) -> None:
        """Then the next request asks for the whole state again."""
        server.answer(200, state_of("a"))
        fetched = api_of().fetch(None, timeout=20)

        assert fetched.etag is None
        assert state_of("a") == fetched.body

    @pytest.mark.parametrize(
        ("status", "cure"),
        [
            (401, " (is api_token a backend token of this server?)"),
            (403, " (may the token read this project and environment?)"),
            (404, " (does the url end in /api?)"),
            (500, ""),
            (302, ""),
            (304, ""),
            (204, ""),
        ],
    )
    def test_another_status_is_an_error(self, api_of, server, status, cure) -> None:
        """It is named, with its usual cause; a 304 nobody asked for is one."""
        server.answer(status)

        assert Fetched(error=f"the server answered {status}{cure}") == api_of().fetch(
            None, timeout=20
        )

    def test_no_answer_is_an_error(self, api_of, server) -> None:
        """The network's word is handed on."""
        server.stop()
        fetched = api_of().fetch(None, timeout=20)

        assert fetched.error.startswith("ConnectionRefusedError: ")

    def test_half_an_answer_is_an_error(self, api_of, server) -> None:
        """A cut body is never taken for a state, whatever the status."""
        server.answer(200, "no gzip at all", Content_Encoding="gzip")

        assert api_of().fetch(None, timeout=20).error.startswith("error: ")

    @pytest.mark.parametrize("body", ["<html>", "[]", '{"features": 3}'])
    def test_a_page_is_an_error(self, api_of, server, body) -> None:
        """A login page or another API answers 200 too."""
        server.answer(200, body, ETag='"1"')
        fetched = api_of().fetch(None, timeout=20)

        assert fetched.body is None
        assert fetched.error.endswith("is the url the one of the API?")

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
            ("Wed, 21 Oct 2015 07:28:00 GMT", None),
        ],
    )
    def test_retry_after(self, api_of, server, header, seconds) -> None:
        """Whole seconds are understood; a date is not worth a parser."""
        server.answer(429, Retry_After=header)

        assert seconds == api_of().fetch(None, timeout=20).retry_after


class TestSend:
    def test_counts_are_taken(self, api_of) -> None:
        """By the server's own book."""
        with FlagServer({"a": True}) as server:
            api = api_of(url=server.url, api_token=server.token)
            sent = api.send(BUCKET, timeout=20)
            api.close()

            assert (Outcome.TAKEN, 202, None) == (sent.outcome, sent.status, sent.error)
            assert 1 == server.counts("a").yes

    def test_the_request(self, api_of, server) -> None:
        """With the interval and the engine's version."""
        server.answer(202)
        api = api_of(flush_interval=30)
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

    @pytest.mark.parametrize("interval", [None, 0])
    def test_without_an_interval_a_minute_is_named(
        self, api_of, server, interval
    ) -> None:
        """The server's own default, for what has no period."""
        server.answer(202)
        api_of(flush_interval=interval).send(BUCKET, timeout=20)

        assert "60000" == server.asked[0].headers["unleash-interval"]

    @pytest.mark.parametrize(
        ("status", "outcome"), [(503, Outcome.REFUSED), (504, Outcome.UNKNOWN)]
    )
    def test_what_became_of_them(self, api_of, server, status, outcome) -> None:
        """The outcome, the status, a word for people and the server's wish."""
        server.answer(status, Retry_After="9")
        sent = api_of().send(BUCKET, timeout=20)

        assert (outcome, status, f"the server answered {status}", 9.0) == (
            sent.outcome,
            sent.status,
            sent.error,
            sent.retry_after,
        )

    def test_a_taken_bucket_has_no_error(self, api_of, server) -> None:
        """Whatever became of the body of the answer."""
        server.answer(202, "no gzip at all", Content_Encoding="gzip")
        sent = api_of().send(BUCKET, timeout=20)

        assert (Outcome.TAKEN, None) == (sent.outcome, sent.error)


class TestToken:
    def test_without_a_token_none_is_sent(self, api_of, server, state_of) -> None:
        """A proxy may add it."""
        server.answer(200, state_of())
        api_of().fetch(None, timeout=20)

        assert "authorization" not in server.asked[0].headers

    def test_a_callable_is_asked_once(self, api_of, server, state_of) -> None:
        """A secret manager is not asked for every request."""
        tokens = iter(["one"])
        api = api_of(api_token=lambda: next(tokens))
        for _ in range(3):
            server.answer(200, state_of())
            assert api.fetch(None, timeout=20).error is None

        assert ["one"] * 3 == [asked.headers["authorization"] for asked in server.asked]

    @pytest.mark.parametrize("kind", ["fetch", "send"])
    def test_after_a_401_it_is_asked_again(
        self, api_of, server, state_of, kind
    ) -> None:
        """The secret may have been rotated; the request is repeated once."""
        tokens = iter(["old", "new"])
        api = api_of(api_token=lambda: next(tokens))
        server.answer(401)
        server.answer(200, state_of("a"))
        argument = None if kind == "fetch" else BUCKET
        answer = getattr(api, kind)(argument, timeout=20)

        assert answer.error is None
        assert ["old", "new"] == [a.headers["authorization"] for a in server.asked]

    def test_a_second_401_is_an_error(self, api_of, server) -> None:
        """Until the next request, which asks again."""
        tokens = iter(["one", "two", "three"])
        api = api_of(api_token=lambda: next(tokens))
        for _ in range(2):
            server.answer(401)
            server.answer(401)
            error = api.fetch(None, timeout=20).error

            assert error.startswith("the server answered 401")
        assert ["one", "two", "two", "three"] == [
            asked.headers["authorization"] for asked in server.asked
        ]

    def test_a_token_of_text_is_not_tried_twice(self, api_of, server) -> None:
        """It would be the same one."""
        server.answer(401)
        api_of(api_token="t").fetch(None, timeout=20)

        assert 1 == len(server.asked)

    def test_without_time_it_is_not_asked_again(
        self, api_of, server, monkeypatch
    ) -> None:
        """The timeout bounds both requests together."""
        moments = iter([0.0, 21.0])
        clock = SimpleNamespace(monotonic=lambda: next(moments))
        monkeypatch.setattr(_unleash_api, "time", clock)
        server.answer(401)
        api = api_of(api_token=lambda: "t")

        assert api.fetch(None, timeout=20).error.startswith("the server answered 401")
        assert 1 == len(server.asked)

    @pytest.mark.parametrize(
        ("provide", "why"),
        [
            (lambda: 1 / 0, "api_token() raised ZeroDivisionError"),
            (lambda: None, "the result of api_token() must be a str or a callable"),
            (lambda: "s3cr3t\n", "the result of api_token() holds a line break"),
        ],
    )
    @pytest.mark.parametrize("kind", ["fetch", "send"])
    def test_a_token_that_cannot_be_had_sends_nothing(
        self, api_of, server, kind, provide, why
    ) -> None:
        """Counts are kept, and the log says why without the token."""
        api = api_of(api_token=provide)
        argument = None if kind == "fetch" else BUCKET
        answer = getattr(api, kind)(argument, timeout=20)

        assert answer.error.startswith(why)
        assert "s3cr3t" not in answer.error
        assert [] == server.asked
        if kind == "send":
            assert Outcome.REFUSED is answer.outcome

    def test_it_is_never_in_an_error(self, api_of, server) -> None:
        """Whatever the server says."""
        for status in (401, 403, 404, 429, 500, 502):
            server.answer(status, "default:development.s3cr3t")
            api = api_of(api_token="default:development.s3cr3t")

            assert "s3cr3t" not in repr(api.fetch(None, timeout=20))


class TestIdentity:
    def test_it_is_new_for_each_process(self) -> None:
        """Two instances of one function are told apart."""
        settings = load_settings({}, {})
        one, two = (Identity(settings, "checkout") for _ in range(2))

        assert one.connection_id != two.connection_id
        assert one.instance_id != two.instance_id
        assert one.instance_id.startswith("checkout-")
        assert str(uuid.UUID(one.connection_id)) == one.connection_id

    def test_a_given_name_is_kept(self) -> None:
        """Whoever names instances knows why."""
        settings = load_settings({"instance_id": "i-1"}, {})

        assert "i-1" == Identity(settings, "checkout").instance_id


FLAG = {"name": "a", "enabled": True, "strategies": []}


class TestState:
    @pytest.mark.parametrize(
        ("state", "flags"),
        [
            ({"version": 2, "features": []}, 0),
            ({"version": 2, "features": [FLAG, FLAG], "segments": []}, 2),
            ({"events": [{"type": "hydration"}]}, None),
        ],
    )
    def test_a_state_is_known_by_its_shape(self, state, flags) -> None:
        """Features or events; the body is handed on as it came."""
        body = json.dumps(state)

        assert Fetched(body=body, flags=flags) == check_state(body.encode())

    def test_a_mark_of_the_byte_order_is_no_part_of_it(self) -> None:
        """Editors on Windows begin a file with one."""
        assert '{"features": []}' == check_state(b'\xef\xbb\xbf{"features": []}').body

    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b"<html>",
            b"\xff\xfe\x00",
            '{"features": []}'.encode("utf-16"),
            b"[" * 100_000,
            b"[]",
            b"null",
            b"{}",
            b'{"features": {}}',
            b'{"features": [3]}',
            b'{"features": [{"name": "a"}]}',
            b'{"features": [{"name": 3, "enabled": true, "strategies": []}]}',
            b'{"features": [{"name": "a", "enabled": 1, "strategies": []}]}',
            b'{"features": [{"name": "a", "enabled": true}]}',
            b'{"features": [{"name": "a", "enabled": true, "strategies": {}}]}',
            b'{"events": {}}',
            b'{"events": [3]}',
        ],
    )
    def test_nothing_else_reaches_an_engine(self, body) -> None:
        """The error asks the question that finds most of its causes."""
        fetched = check_state(body)

        assert (None, None) == (fetched.body, fetched.flags)
        assert fetched.error.endswith("is the url the one of the API?")


class TestSnapshot:
    def test_a_file_is_read(self, tmp_path, state_of) -> None:
        """It is the body of the API, no more and no less."""
        path = tmp_path / "flags.json"
        path.write_text(state_of("a", "b"))

        assert Fetched(body=state_of("a", "b"), flags=2) == read_snapshot(str(path))

    def test_a_file_that_is_not_there(self, tmp_path) -> None:
        """The path is in the message."""
        path = str(tmp_path / "flags.json")
        error = read_snapshot(path).error

        assert error.startswith("the snapshot cannot be read: ")
        assert path in error
        assert "null byte" in read_snapshot("a\0b").error

    @pytest.mark.parametrize("content", [b"", b"{}", b"\x80\x04pickle"])
    def test_a_file_of_something_else(self, tmp_path, content) -> None:
        """Nothing but JSON of the right shape is looked at."""
        path = tmp_path / "flags.json"
        path.write_bytes(content)

        assert (
            f"the snapshot {path} is not the body of /api/client/features"
            == read_snapshot(str(path)).error
        )

    def test_a_file_is_bounded(self, tmp_path, monkeypatch, state_of) -> None:
        """A wrong path to something huge does not fill the memory."""
        path = tmp_path / "flags.json"
        path.write_text(state_of("a"))
        size = path.stat().st_size
        monkeypatch.setattr(_unleash_api, "MOST_SNAPSHOT", size)
        assert 1 == read_snapshot(str(path)).flags
        monkeypatch.setattr(_unleash_api, "MOST_SNAPSHOT", size - 1)

        assert (
            f"the snapshot is larger than {size - 1} bytes"
            == read_snapshot(str(path)).error
        )
