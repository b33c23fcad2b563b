"""The server's URL, token and headers: checked early, and never shown."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serverless_flags import ConfigurationError, FlagSession
from serverless_flags._settings import load_settings
from serverless_flags._settings.server_checks import check_token, is_plain_http


class TestUrl:
    @pytest.mark.parametrize(
        ("value", "url"),
        [
            ("https://u.example.com/api", "https://u.example.com/api"),
            ("https://u.example.com/api/", "https://u.example.com/api"),
            (" http://127.0.0.1:4242/api ", "http://127.0.0.1:4242/api"),
            ("HTTP://[::1]:4242/api", "HTTP://[::1]:4242/api"),
            ("https://u.example.com/a%20b/api", "https://u.example.com/a%20b/api"),
        ],
    )
    def test_a_url_is_accepted(self, value, url) -> None:
        """A base URL is used unchanged, without a trailing slash."""
        assert url == load_settings({"url": value}, {}).url

    @pytest.mark.parametrize(
        "value",
        [
            "",
            " ",
            "unleash.example.com/api",
            "ftp://unleash.example.com/api",
            "https://",
            "https:///api",
            "https://u.example.com:port/api",
            "https://u.example.com:0/api",
            "https://u.example.com:99999/api",
            "https://u.example.com/api?token=1",
            "https://u.example.com/api#x",
            "https://[::1/api",
            "https://u.example.com/api\n",
            "https://u.example.com/a b",
            "https://u.example.com/\xe9",
            b"https://u.example.com/api",
            3,
        ],
    )
    def test_an_invalid_url_is_rejected(self, raised, value) -> None:
        """The message shows an example."""
        assert (
            "url is not a URL; write for example https://unleash.example.com/api"
            == raised("url", value)
        )

    def test_the_variable_is_named(self, raised) -> None:
        """The message about a value from the environment names the variable."""
        assert raised("url", "x", "UNLEASH_URL").startswith("UNLEASH_URL is not a URL")

    @pytest.mark.parametrize(
        "value",
        [
            "default:development.secret",
            "https://user:secret@u.example.com:port/api",
            "https://user:secret@u.example.com/api",
            "https://secret@u.example.com/api",
        ],
    )
    def test_a_secret_in_it_is_not_quoted(self, raised, value) -> None:
        """Neither a token in the wrong variable nor a password gets into a log."""
        message = raised("url", value)

        assert "secret" not in message
        assert "url" in message

    def test_credentials_in_a_url_are_rejected(self, raised) -> None:
        """The message says where to put the token."""
        assert "put the token in api_token" in raised("url", "https://t@u.example/api")


class TestToken:
    @pytest.mark.parametrize("value", ["*:*.secret", " default:development.secret "])
    def test_a_token_is_accepted(self, value) -> None:
        """Spaces around it, as after copying, are removed."""
        assert value.strip() == load_settings({"api_token": value}, {}).api_token

    def test_a_callable_is_called_when_a_token_is_needed(self) -> None:
        """It is not called before, and each result is checked."""
        answers = iter([" one ", "two", "bad\n", None])
        provide = load_settings({"api_token": lambda: next(answers)}, {}).api_token

        assert callable(provide)
        assert ["one", "two"] == [provide(), provide()]
        for _ in range(2):
            with pytest.raises(ConfigurationError, match="the result of api_token"):
                provide()

    @pytest.mark.parametrize("value", [3, b"secret", ["secret"]])
    def test_a_token_that_is_not_a_string_is_rejected(self, raised, value) -> None:
        """The message says what is accepted, and does not quote the value."""
        message = raised("api_token", value)

        assert "api_token must be a str or a callable" in message
        assert "secret" not in message

    @pytest.mark.parametrize(
        "value",
        ["secret\n", "sec\rret", "secr\x00et", "secret\x7f", "\u2026secret"],
    )
    def test_a_token_that_cannot_be_sent_is_rejected(self, raised, value) -> None:
        """A line break would start another header; the message names the cause."""
        message = raised("api_token", value)

        assert message.startswith("api_token contains a line break")
        assert "newline at the end of a secret's file: strip it" in message
        assert "secr\x00et" not in message
        assert "\u2026" not in message

    @pytest.mark.parametrize("value", ["", "  ", "\n", " \t\r\n"])
    def test_an_empty_token_is_rejected(self, raised, value) -> None:
        """The message says that it is empty, not that it has a line break."""
        assert "api_token is empty: pass a backend token, or omit it" == raised(
            "api_token", value
        )

    def test_a_coroutine_function_is_rejected(self, raised) -> None:
        """The function is called and not awaited, so it would never return a token."""

        async def provide() -> str:
            return "secret"

        message = raised("api_token", provide)

        assert message.startswith("api_token must be a plain function")

    def test_the_variable_is_named(self, raised) -> None:
        """A newline in a deployed secret is found by the variable's name."""
        message = raised("api_token", "s3cr3t\n", "UNLEASH_API_TOKEN")

        assert message.startswith("UNLEASH_API_TOKEN contains a line break")
        assert "s3cr3t" not in message

    @given(before=st.text(max_size=9), after=st.text(max_size=9))
    def test_no_token_is_ever_shown(self, before, after) -> None:
        """Neither an error nor a repr contains any part of a token."""
        token = f"{before}s3cr3t{after}"
        try:
            settings = load_settings({"api_token": token}, {})
        except ConfigurationError as error:
            said = str(error)
        else:
            said = repr(settings)
            assert token.strip() == settings.api_token
            assert token.isascii()
            assert token.isprintable()

        assert "s3cr3t" not in said

    def test_a_sessions_repr_does_not_show_it(self) -> None:
        """The repr names the URL and nothing secret."""
        session = FlagSession(url="http://127.0.0.1/api", api_token="s3cr3t")

        assert "s3cr3t" not in repr(session)
        assert "s3cr3t" not in repr(session._core.settings)

    def test_adapters_use_the_same_check(self) -> None:
        """The check is a function that other sources of tokens can call."""
        assert "t" == check_token("secret", " t ")


class TestPlainHttp:
    @pytest.mark.parametrize(
        "url",
        [
            "http://unleash.test/api",
            "HTTP://unleash.test/api",
            "http://10.0.0.1:4242/api",
            "http://127.example.com/api",
            "http://127.0.0.1.example.com/api",
            "http://localhost.example.com/api",
            "http://mylocalhost/api",
            "http://127.0.0.256/api",
            "http://[fe80::1]:4242/api",
            "http://[::ffff:10.0.0.1]/api",
            "http://[::]/api",
            "http://0.0.0.0/api",
        ],
    )
    def test_a_token_can_be_read_in_transit(self, url) -> None:
        """The host is another machine, or may be one: a name is not an address."""
        assert is_plain_http(load_settings({"url": url}, {}).url)

    @pytest.mark.parametrize(
        "url",
        [
            "https://unleash.test/api",
            "HTTPS://unleash.test/api",
            "http://localhost/api",
            "http://LOCALHOST:4242/api",
            "http://localhost.:4242/api",
            "http://127.0.0.1:4242/api",
            "http://127.1.2.3/api",
            "http://[::1]/api",
            "HTTP://[::1]:4242/api",
            "http://[0:0:0:0:0:0:0:1]/api",
            "http://[::ffff:127.0.0.1]/api",
        ],
    )
    def test_a_token_cannot_be_read_in_transit(self, url) -> None:
        """The connection uses TLS, or the host is this machine."""
        assert not is_plain_http(load_settings({"url": url}, {}).url)


class TestHeaders:
    def test_headers_are_copied(self) -> None:
        """Names and values as UnleashClient accepts them; changes have no effect."""
        given_ones = {"X-Tenant": "shop 7", "Authorization": " Bearer t "}
        headers = load_settings({"custom_headers": given_ones}, {}).custom_headers
        given_ones["X-Tenant"] = "other"

        assert {"X-Tenant": "shop 7", "Authorization": "Bearer t"} == headers

    @pytest.mark.parametrize("value", ["X-Tenant: 7", [("X-Tenant", "7")], 7])
    def test_a_value_that_is_not_a_mapping_is_rejected(self, raised, value) -> None:
        """The message shows an example."""
        assert raised("custom_headers", value) == (
            "custom_headers must map header names to strings: {'X-Name': 'value'}"
        )

    @pytest.mark.parametrize("name", ["", "X Name", "X:Name", "X\r\nName", "X-\xe4", 7])
    def test_an_invalid_header_name_is_rejected(self, raised, name) -> None:
        """It is not quoted, as it may be a secret if name and value are mixed up."""
        assert raised("custom_headers", {name: "secret"}) == (
            "custom_headers has a key that is not a header name: write 'X-Name'"
        )

    @pytest.mark.parametrize(
        "text", ["sec\nret", "sec\x00ret", "secr\xe9t", b"secret", 7]
    )
    def test_a_header_that_cannot_be_sent_is_rejected(self, raised, text) -> None:
        """A line break would start another header; the value is not quoted."""
        assert raised("custom_headers", {"X-Key": text}) == (
            "custom_headers['X-Key'] must be an ASCII string on one line"
        )

    @pytest.mark.parametrize(
        "name", ["Content-Length", "transfer-encoding", "Connection", "Expect"]
    )
    def test_a_framing_header_is_rejected(self, raised, name) -> None:
        """A wrong length or encoding would break the connection."""
        message = raised("custom_headers", {name: "1"})

        assert f"custom_headers[{name!r}] is set automatically" in message

    def test_a_repeated_header_is_rejected(self, raised) -> None:
        """Names that differ only in case are one header to the server."""
        message = raised("custom_headers", {"X-Key": "1", "x-key": "2"})

        assert "custom_headers has 'x-key' twice" in message

    def test_headers_are_not_shown(self) -> None:
        """They may contain secrets."""
        session = FlagSession(custom_headers={"X-Key": "s3cr3t"})

        assert "s3cr3t" not in repr(session)
        assert "s3cr3t" not in repr(session._core.settings)
