"""The token, and the identity of a process."""

from __future__ import annotations

import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest

from serverless_flags._protocols import Outcome
from serverless_flags._settings import load_settings
from serverless_flags._transport.http import Reply
from serverless_flags.clients import _unleash_api
from serverless_flags.clients._unleash_api import Identity

BUCKET = {"start": "1", "stop": "2", "toggles": {"a": {"yes": 1, "no": 0}}}


class TestToken:
    def test_without_a_token_none_is_sent(self, api_of, server, state_of) -> None:
        """A proxy may add it."""
        server.answer(200, state_of())
        api_of().fetch(None, timeout=20)

        assert "authorization" not in server.asked[0].headers

    def test_a_callable_is_called_once(self, api_of, server, state_of) -> None:
        """A secret manager is not queried for every request."""
        tokens = iter(["one"])
        api = api_of(api_token=lambda: next(tokens))
        for _ in range(3):
            server.answer(200, state_of())
            assert api.fetch(None, timeout=20).error is None

        assert ["one"] * 3 == [asked.headers["authorization"] for asked in server.asked]

    @pytest.mark.parametrize("status", [401, 403])
    @pytest.mark.parametrize("kind", ["fetch", "send", "register"])
    def test_a_rejected_token_is_renewed(
        self, api_of, server, state_of, kind, status
    ) -> None:
        """
        The secret may have been rotated; the request is repeated once.

        Unleash answers 401 to a token that it does not know, Edge 403.
        """
        tokens = iter(["old", "new"])
        api = api_of(api_token=lambda: next(tokens))
        server.answer(status)
        server.answer(200, state_of("a"))
        argument = {"fetch": None, "send": BUCKET, "register": []}[kind]
        answer = getattr(api, kind)(argument, timeout=20)

        assert answer.error is None
        assert ["old", "new"] == [a.headers["authorization"] for a in server.asked]

    def test_a_second_401_is_an_error(self, api_of, server) -> None:
        """Until the next request, which calls the function again."""
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

    @pytest.mark.parametrize("status", [401, 403])
    def test_the_same_token_is_not_sent_again(self, api_of, server, status) -> None:
        """It was not rotated; each request calls the function once."""
        asked = []
        api = api_of(api_token=lambda: asked.append(True) or "t")
        for _ in range(3):
            server.answer(status)
            assert f"answered {status}" in api.fetch(None, timeout=20).error

        assert 3 == len(server.asked)
        assert 4 == len(asked)

    def test_concurrent_requests_renew_the_token_once(
        self, api_of, server, state_of
    ) -> None:
        """A request whose token another has renewed meanwhile uses the new one."""
        tokens = iter(["old", "new"])
        api = api_of(api_token=lambda: next(tokens))
        server.answer(200, state_of())
        api.fetch(None, timeout=20)
        refused = threading.Barrier(3)
        request = api._request

        def together(token, *args, **options):
            if token == "old":
                refused.wait(20)
                return Reply(Outcome.NOT_DELIVERED, 401)
            return request(token, *args, **options)

        api._request = together
        for _ in range(3):
            server.answer(200, state_of())
        with ThreadPoolExecutor(3) as pool:
            asking = [pool.submit(api.fetch, None, timeout=20) for _ in range(3)]

        assert [None] * 3 == [each.result().error for each in asking]

    def test_a_function_that_hangs_is_not_waited_for(
        self, api_of, server, state_of
    ) -> None:
        """It is called once, and its late result serves the next request."""
        goes_on, asked = threading.Event(), []

        def provide():
            asked.append(True)
            goes_on.wait(20)
            return "late"

        api = api_of(api_token=provide)
        errors = [api.fetch(None, timeout=0.05).error for _ in range(2)]
        goes_on.set()
        server.answer(200, state_of())

        assert ["api_token() has not returned in time"] * 2 == errors
        assert api.fetch(None, timeout=20).error is None
        assert 1 == len(asked)

    def test_the_message_of_its_error_is_shown(self, api_of, server, state_of) -> None:
        """The user's own code says what is wrong; the token is hidden."""
        answers = iter(["s3cr3t"])

        def provide():
            for token in answers:
                return token
            raise PermissionError("AccessDenied: secret/flags\nfor s3cr3t")

        api = api_of(api_token=provide)
        server.answer(200, state_of())
        server.answer(401)
        api.fetch(None, timeout=20)
        error = api.fetch(None, timeout=20).error

        assert (
            r"api_token() raised PermissionError: AccessDenied: secret/flags\nfor ***"
            == error
        )

    @pytest.mark.parametrize("error", [ValueError(), SystemExit(), KeyboardInterrupt()])
    def test_an_error_without_a_message_is_named(self, api_of, error) -> None:
        """Whatever it is, it ends no thread with a traceback."""

        def provide():
            raise error

        said = api_of(api_token=provide).fetch(None, timeout=20).error

        assert f"api_token() raised {type(error).__name__}" == said

    def test_a_fixed_token_is_not_sent_again(self, api_of, server) -> None:
        """It would be the same one."""
        server.answer(401)
        api_of(api_token="t").fetch(None, timeout=20)

        assert 1 == len(server.asked)

    def test_without_time_it_is_not_renewed(self, api_of, server, monkeypatch) -> None:
        """The timeout is for both requests together."""
        moments = iter([0.0, 0.0, 0.0])
        clock = SimpleNamespace(monotonic=lambda: next(moments, 21.0))
        monkeypatch.setattr(_unleash_api, "time", clock)
        server.answer(401)
        api = api_of(api_token=lambda: "t")
        api._called.get = lambda *_, **__: "t"

        assert api.fetch(None, timeout=20).error.startswith("the server answered 401")
        assert 1 == len(server.asked)

    @pytest.mark.parametrize(
        ("provide", "why"),
        [
            (lambda: 1 / 0, "api_token() raised ZeroDivisionError: division by zero"),
            (lambda: None, "the result of api_token() must be a str or a callable"),
            (lambda: "s3cr3t\n", "the result of api_token() contains a line break"),
        ],
    )
    @pytest.mark.parametrize("kind", ["fetch", "send"])
    def test_without_a_token_nothing_is_sent(
        self, api_of, server, kind, provide, why
    ) -> None:
        """Counts are kept, and the error says why without the token."""
        api = api_of(api_token=provide)
        argument = None if kind == "fetch" else BUCKET
        answer = getattr(api, kind)(argument, timeout=20)

        assert answer.error.startswith(why)
        assert "s3cr3t" not in answer.error
        assert [] == server.asked
        if kind == "send":
            assert Outcome.NOT_DELIVERED is answer.outcome

    def test_it_is_never_in_an_error(self, api_of, server) -> None:
        """Whatever the server sends."""
        for status in (401, 403, 404, 429, 500, 502):
            server.answer(status, "default:development.s3cr3t")
            api = api_of(api_token="default:development.s3cr3t")

            assert "s3cr3t" not in repr(api.fetch(None, timeout=20))


class TestIdentity:
    def test_it_is_new_for_each_process(self) -> None:
        """Two processes of one function have different identities."""
        settings = load_settings({}, {})
        one, two = (Identity(settings, "checkout") for _ in range(2))

        assert one.connection_id != two.connection_id
        assert one.instance_id != two.instance_id
        assert one.instance_id.startswith("checkout-")
        assert str(uuid.UUID(one.connection_id)) == one.connection_id

    def test_a_given_instance_id_is_kept(self) -> None:
        """The user may name instances."""
        settings = load_settings({"instance_id": "i-1"}, {})

        assert "i-1" == Identity(settings, "checkout").instance_id


FLAG = {"name": "a", "enabled": True, "strategies": []}
