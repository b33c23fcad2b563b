"""The server's URL and the token: checked early, and never shown."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serverless_flags import ConfigurationError, FlagSession
from serverless_flags._config import check_token, load_settings


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
    def test_a_url_is_taken(self, value, url) -> None:
        """A base URL is taken as it is, without a slash at its end."""
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
    def test_what_is_no_url_is_told_so(self, raised, value) -> None:
        """The message shows how one looks."""
        assert (
            "url is not a URL; write for example https://unleash.example.com/api"
            == raised("url", value)
        )

    def test_the_variable_is_named(self, raised) -> None:
        """A mistake in the environment is found by the variable's name."""
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

    def test_credentials_have_their_place(self, raised) -> None:
        """The message says where the token goes."""
        assert "put the token in api_token" in raised("url", "https://t@u.example/api")


class TestToken:
    @pytest.mark.parametrize("value", ["*:*.secret", " default:development.secret "])
    def test_a_token_is_taken(self, value) -> None:
        """Spaces around it, as copying leaves them, are no part of it."""
        assert value.strip() == load_settings({"api_token": value}, {}).api_token

    def test_a_callable_is_asked_when_a_token_is_needed(self) -> None:
        """It is not called before, and each of its answers is checked."""
        answers = iter([" one ", "two", "bad\n", None])
        provide = load_settings({"api_token": lambda: next(answers)}, {}).api_token

        assert callable(provide)
        assert ["one", "two"] == [provide(), provide()]
        for _ in range(2):
            with pytest.raises(ConfigurationError, match="the result of api_token"):
                provide()

    @pytest.mark.parametrize("value", [3, b"secret", ["secret"]])
    def test_what_is_no_text_is_refused(self, raised, value) -> None:
        """The message says what is accepted and does not quote what was given."""
        message = raised("api_token", value)

        assert "api_token must be a str or a callable" in message
        assert "secret" not in message

    @pytest.mark.parametrize(
        "value",
        ["secret\n", "sec\rret", "secr\x00et", "secret\x7f", "\u2026secret", ""],
    )
    def test_what_cannot_be_sent_is_refused(self, raised, value) -> None:
        """A line break would be another header; the usual cause is named."""
        message = raised("api_token", value)

        assert message.startswith("api_token holds a line break")
        assert "newline at the end of a secret's file: strip it" in message
        assert "secr\x00et" not in message
        assert "\u2026" not in message

    def test_the_variable_is_named(self, raised) -> None:
        """A newline in a deployed secret is found by the variable's name."""
        message = raised("api_token", "s3cr3t\n", "UNLEASH_API_TOKEN")

        assert message.startswith("UNLEASH_API_TOKEN holds a line break")
        assert "s3cr3t" not in message

    @given(before=st.text(max_size=9), after=st.text(max_size=9))
    def test_no_token_is_ever_shown(self, before, after) -> None:
        """Whatever it is, neither an error nor a repr repeats it."""
        token = f"{before}s3cr3t{after}"
        try:
            settings = load_settings({"api_token": token}, {})
        except ConfigurationError as error:
            said = str(error)
        else:
            said = repr(settings)
            assert token.strip() == settings.api_token
            assert token.isascii() and token.isprintable()

        assert "s3cr3t" not in said

    def test_a_session_does_not_show_it(self) -> None:
        """Its repr names the URL and nothing secret."""
        session = FlagSession(url="http://127.0.0.1/api", api_token="s3cr3t")

        assert "s3cr3t" not in repr(session)
        assert "s3cr3t" not in repr(session._settings)

    def test_a_token_of_an_adapter_is_checked_alike(self) -> None:
        """The check stands alone, for what provides tokens."""
        assert "t" == check_token("secret", " t ")
