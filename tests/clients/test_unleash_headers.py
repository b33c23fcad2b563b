"""The headers of every request: names in any script, and the user's headers."""

from __future__ import annotations

import json

import pytest

from serverless_flags._settings import load_settings
from serverless_flags._version import __version__
from serverless_flags.clients._identity import Identity, header_text
from serverless_flags.clients._unleash_api import UnleashApi

BUCKET = {"start": "1", "stop": "2", "toggles": {"a": {"yes": 1, "no": 0}}}


@pytest.fixture(name="ask_all")
def _ask_all(api_of, server, state_of):
    """Return a function that sends each kind of request and returns the headers."""

    def ask(**settings):
        server.answer(200, state_of())
        server.answer(202)
        server.answer(202)
        api = api_of(**settings)
        api.fetch(None, timeout=20)
        api.send(BUCKET, timeout=20)
        api.register([], timeout=20)
        return [asked.headers for asked in server.asked]

    return ask


class TestUserAgent:
    def test_each_request_has_a_user_agent(self, ask_all) -> None:
        """Web application firewalls reject requests without one."""
        agents = {headers["user-agent"] for headers in ask_all()}

        assert {f"serverless-flags/{__version__}"} == agents


class TestNames:
    @pytest.mark.parametrize(
        ("name", "expected"),
        [
            ("checkout", "checkout"),
            ("größe", "größe"),
            ("größe_заказы", "größe_%D0%B7%D0%B0%D0%BA%D0%B0%D0%B7%D1%8B"),
            ("a\nb\x00c", "a%0Ab%00c"),
            ("a\x85\xadb", "a%C2%85%C2%ADb"),
            ("\udcff", "%ED%B3%BF"),
            ("100%", "100%"),
        ],
    )
    def test_characters_that_cannot_be_sent_are_percent_encoded(
        self, name, expected
    ) -> None:
        """All others are sent unchanged."""
        assert expected == header_text(name)

    @pytest.mark.parametrize("name", ["заказы", "\udcff", "a\r\nX-Y: z", "\u2028"])
    def test_no_name_prevents_a_request(self, api_of, server, state_of, name) -> None:
        """Platforms allow any function name; bodies have the name itself."""
        settings = load_settings({"url": server.url}, {})
        api = UnleashApi(settings, server.url, Identity(settings, name))
        server.answer(200, state_of())
        server.answer(202)

        assert api.fetch(None, timeout=20).error is None
        assert api.send(BUCKET, timeout=20).error is None
        assert server.asked[0].headers["unleash-appname"].isascii()
        assert "x-y" not in server.asked[0].headers
        assert name == json.loads(server.asked[1].body)["appName"]
        api.close()


class TestCustomHeaders:
    def test_custom_headers_are_sent_with_each_request(self, ask_all) -> None:
        """As UnleashClient sends them."""
        sent = ask_all(custom_headers={"X-Gate": "key", "User-Agent": "mine"})

        assert [("key", "mine")] * 3 == [(h["x-gate"], h["user-agent"]) for h in sent]

    def test_they_do_not_change_the_identity(self, ask_all) -> None:
        """UnleashClient's own headers take precedence there too."""
        sent = ask_all(custom_headers={"Unleash-AppName": "no"})

        assert ["checkout"] * 3 == [headers["unleash-appname"] for headers in sent]

    def test_a_host_header_may_be_given(self, ask_all) -> None:
        """Private gateways may need another host than that of the url."""
        assert {"flags.internal"} == {
            headers["host"]
            for headers in ask_all(custom_headers={"host": "flags.internal"})
        }

    def test_authorization_is_used_without_a_token(self, ask_all) -> None:
        """UnleashClient gets its token in this way."""
        sent = ask_all(custom_headers={"authorization": "theirs"})

        assert ["theirs"] * 3 == [headers["authorization"] for headers in sent]

    @pytest.mark.parametrize("token", ["ours", lambda: "ours"])
    def test_the_token_overrides_authorization(self, ask_all, token) -> None:
        """It is the setting for tokens, and may be renewed."""
        sent = ask_all(api_token=token, custom_headers={"AUTHORIZATION": "theirs"})

        assert ["ours"] * 3 == [headers["authorization"] for headers in sent]

    def test_with_authorization_a_401_does_not_say_that_no_token_was_given(
        self, api_of, server
    ) -> None:
        """A token was sent, in another way."""
        server.answer(401)
        api = api_of(custom_headers={"Authorization": "t"})

        assert "is api_token a backend token" in api.fetch(None, timeout=20).error
