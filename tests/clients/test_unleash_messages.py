"""Messages about answers: the likely cause, what to change, and no secrets."""

from __future__ import annotations

import email.utils
import time

import pytest

from serverless_flags.clients._answers import complaint, retry_after

TOKEN = "*:production.s3cr3ttoken"
BUCKET = {"start": "1", "stop": "2", "toggles": {"a": {"yes": 1, "no": 0}}}


@pytest.fixture(name="said")
def _said():
    """Return a function that returns the message about an answer."""

    def say(status, headers=None, url="https://u.example/api", token=TOKEN, more=()):
        return complaint(
            status,
            headers or {},
            url=url,
            authorized=token is not None,
            secrets=(token, *more),
        )

    return say


class TestStatus:
    @pytest.mark.parametrize("status", [401, 403])
    def test_without_a_token_the_message_says_so(self, said, status) -> None:
        """Unleash answers 401 then, Edge 403."""
        text = said(status, token=None)

        assert f"the server answered {status} (no api_token was given" in text
        assert "UNLEASH_API_TOKEN" in text

    def test_401_asks_for_a_backend_token(self, said) -> None:
        """Tokens have four kinds."""
        assert "a backend token of this server?" in said(401)

    def test_403_names_its_three_causes(self, said) -> None:
        """The url, the kind of the token, and what the token may read."""
        text = said(403)

        for cause in ("/api?", "backend", "frontend, admin and personal", "project"):
            assert cause in text

    @pytest.mark.parametrize(
        "end", ["/client/features", "/client", "/frontend", "/proxy", "/admin"]
    )
    def test_404_says_what_to_cut_off_the_url(self, said, end) -> None:
        """Urls copied from the documentation of the API are too long."""
        assert "end in /api" in said(404)
        assert f"cut {end} off" in said(404, url=f"https://u.example/api{end}")

    def test_407_is_from_the_proxy(self, said) -> None:
        """For a plain http url through a proxy."""
        assert "the proxy requires a user and password" in said(407)

    @pytest.mark.parametrize("status", [400, 413, 418, 429, 500, 502, 503])
    def test_another_status_is_named(self, said, status) -> None:
        """Without a guess at the cause."""
        assert f"the server answered {status}" == said(status)


class TestRedirect:
    @pytest.mark.parametrize("status", [300, 301, 302, 303, 307, 308])
    def test_the_target_of_a_redirect_is_shown(self, said, status) -> None:
        """It is not followed, so that the token stays with its host."""
        text = said(status, {"location": "https://u.example/else/api"})

        assert f"{status}, a redirect to https://u.example/else/api; " in text
        assert "redirects are not followed" in text

    def test_without_a_target(self, said) -> None:
        """There is nothing to show then."""
        assert "302, a redirect without a target" in said(302)

    @pytest.mark.parametrize(
        ("location", "shown"),
        [
            ("https://me:pass@u.example/x?a=b#c", "https://u.example/x;"),
            ("/login\r\nWARNING forged", "/loginWARNING forged;"),
            ("/\x1b[31m\u202e", r"/\x1b[31m\u202e;"),
            ("https://u.example/" + "x" * 5000, "x...;"),
            ("https://[bad", "to an invalid url;"),
        ],
    )
    def test_the_target_is_escaped_and_bounded(self, said, location, shown) -> None:
        """Neither a query nor credentials are shown."""
        text = said(301, {"location": location})

        assert shown in text
        assert "pass@" not in text
        assert len(text) < 400
        assert text.isprintable()

    @pytest.mark.parametrize(
        "location",
        [
            f"https://u.example/{TOKEN}",
            "https://u.example/%2A%3Aproduction.s3cr3ttoken",
            "https://s3cr3ttoken.example/",
            "https://u.example/S3CR3TTOKEN",
            "https://u.example/?token=s3cr3ttoken",
        ],
    )
    def test_the_token_is_never_shown(self, said, location) -> None:
        """A server may echo it in any form."""
        text = said(301, {"location": location})

        assert "s3cr3t" not in text.lower()
        assert "contains a secret" in text

    def test_a_custom_header_is_never_shown(self, said) -> None:
        """Its value may be a secret; short values occur in ordinary text."""
        headers = {"location": "https://u.example/gatekey-1?/eu"}

        assert "gatekey" not in said(301, headers, more=("Bearer gatekey-1",))
        assert "/eu" in said(301, {"location": "https://u.example/eu"}, more=("eu",))


class TestRetryAfter:
    def test_a_date_is_compared_with_the_servers_own(self) -> None:
        """The clocks of two machines differ."""
        headers = {
            "retry-after": "Wed, 21 Oct 2015 07:30:00 GMT",
            "date": "Wed, 21 Oct 2015 07:28:00 GMT",
        }

        assert 120.0 == retry_after(headers)

    @pytest.mark.parametrize("more", [{}, {"date": "today"}])
    def test_without_the_servers_date_the_local_clock_counts(self, more) -> None:
        """It is the best available."""
        date = email.utils.formatdate(time.time() + 120, usegmt=True)
        seconds = retry_after({"retry-after": date, **more})

        assert 60 < seconds <= 120

    @pytest.mark.parametrize(
        "date",
        [
            "Wednesday, 21-Oct-15 07:30:00 GMT",
            "Wed Oct 21 07:30:00 2015",
            "Wed, 21 Oct 2015 09:30:00 +0200",
            "Wed, 21 Oct 2015 07:30:00 -0000",
        ],
    )
    def test_every_form_of_a_date_is_read(self, date) -> None:
        """RFC 9110 has three (5.6.7)."""
        now = "Wed, 21 Oct 2015 07:28:00 GMT"

        assert 120.0 == retry_after({"retry-after": date, "date": now})

    @pytest.mark.parametrize(
        "value",
        ["soon", "1.5", "-1", "١٢", "9" * 5000, "Wed, 99 Oct 2015 99:99:99 GMT"],
    )
    def test_any_other_value_is_ignored(self, value) -> None:
        """It is not an error either."""
        assert retry_after({"retry-after": value}) in {None, 0.0}

    @pytest.mark.parametrize("kind", ["fetch", "send"])
    def test_it_applies_to_flags_and_counts(self, api_of, server, kind) -> None:
        """Both kinds of request back off."""
        date = email.utils.formatdate(time.time() + 1000, usegmt=True)
        server.answer(503, Retry_After=date)
        answer = getattr(api_of(), kind)(
            None if kind == "fetch" else BUCKET, timeout=20
        )

        assert 900 < answer.retry_after <= 1001


class TestSession:
    def test_the_message_of_an_answer(self, api_of, server) -> None:
        """The API passes the answer, the url and the token."""
        server.answer(301, Location=f"{server.url}/?{TOKEN}")
        server.answer(404)
        server.answer(403)
        one = api_of(api_token=TOKEN).fetch(None, timeout=20).error
        two = api_of(url=f"{server.url}/client/features").fetch(None, timeout=20).error
        three = api_of(api_token=lambda: TOKEN)
        server.answer(403)

        assert "contains a secret" in one
        assert "cut /client/features off" in two
        assert "backend token" in three.fetch(None, timeout=20).error
