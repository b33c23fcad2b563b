"""Settings: their sources, their valid values, and the messages about mistakes."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serverless_flags import FlagSession
from serverless_flags._settings import (
    ENVIRONMENT,
    Settings,
    load_settings,
)
from serverless_flags._settings.checks import MAX_TIMEOUT

SECONDS = [
    "max_age",
    "stale_while_revalidate",
    "stale_if_error",
    "flush_interval",
    "start_timeout",
    "refresh_timeout",
    "flush_timeout",
    "request_timeout",
]
TIMEOUTS = SECONDS[4:]
NAMES = ["app_name", "environment", "project_name", "instance_id", "platform"]


class TestWhereTheyComeFrom:
    def test_defaults(self) -> None:
        """Without arguments the settings are those of the documentation."""
        settings = load_settings({}, {})

        assert Settings().values() == settings.values()
        assert (None, None, None, "default", None, None, "unleash", None) == (
            settings.url,
            settings.api_token,
            settings.app_name,
            settings.environment,
            settings.project_name,
            settings.instance_id,
            settings.client,
            settings.snapshot,
        )
        assert (15.0, 45.0, math.inf, None, 1.0, 0.3, 0.3, 2.0) == tuple(
            getattr(settings, name) for name in SECONDS
        )
        assert (None, (), {}, None, False, None, None) == (
            settings.platform,
            settings.plugins,
            settings.strategies,
            settings.on_impression,
            settings.register,
            settings.context,
            settings.clock,
        )

    @pytest.mark.parametrize("name", ENVIRONMENT)
    def test_a_keyword_overrides_the_environment(self, name) -> None:
        """The order is: keyword, environment variable, default."""
        forms = {"url": "http://{}/api", "client": "{}"}
        values = {"client": ("unleash", "memory"), "register": ("yes", "no")}
        first, second = values.get(name, ("1", "2"))
        given = forms.get(name, "{}").format(first)
        found = forms.get(name, "{}").format(second)
        environ = {ENVIRONMENT[name]: found}
        both = getattr(load_settings({name: given}, environ), name)
        alone = getattr(load_settings({name: None}, environ), name)

        assert getattr(load_settings({name: given}, {}), name) == both
        assert getattr(load_settings({name: found}, {}), name) == alone
        assert both != alone

    @pytest.mark.parametrize("name", ENVIRONMENT)
    def test_an_empty_variable_is_not_set(self, name) -> None:
        """Deployment tools write empty variables for unconfigured settings."""
        empty = load_settings({}, {ENVIRONMENT[name]: ""})

        assert Settings().values() == empty.values()

    @pytest.mark.parametrize("name", ENVIRONMENT)
    def test_the_environment_of_the_process_is_read(self, name, monkeypatch) -> None:
        """By default settings are read from ``os.environ``."""
        for variable in ENVIRONMENT.values():
            monkeypatch.delenv(variable, raising=False)
        values = {"url": "http://x/api", "client": "memory", "register": "on"}
        value = values.get(name, "7")
        monkeypatch.setenv(ENVIRONMENT[name], value)

        expected = load_settings({}, {ENVIRONMENT[name]: value}).values()
        assert expected == load_settings({}).values()

    def test_every_setting_is_a_keyword_of_the_session(self) -> None:
        """Each setting in the environment can be passed as a keyword too."""
        keywords = set(FlagSession.__init__.__annotations__) - {"return"}

        assert set(Settings().values()) == keywords
        assert set(ENVIRONMENT) <= keywords


class TestNames:
    @pytest.mark.parametrize("name", NAMES)
    @pytest.mark.parametrize("value", ["checkout", " checkout ", "Stra\xdfe 1"])
    def test_a_name_is_accepted(self, name, value) -> None:
        """Names are single lines that can be sent as a header."""
        assert value.strip() == getattr(load_settings({name: value}, {}), name)

    @pytest.mark.parametrize("name", NAMES)
    @pytest.mark.parametrize("value", ["", "  ", "two\nlines", "tab\t", 3, b"x"])
    def test_an_invalid_name_is_rejected(self, raised, name, value) -> None:
        """The message names the setting and shows the value and an example."""
        message = raised(name, value)

        assert message == (
            f"{name} must be a non-empty string on one line: {value!r};"
            " write for example checkout"
        )

    @pytest.mark.parametrize("name", NAMES)
    def test_a_name_outside_latin_1_is_rejected(self, raised, name) -> None:
        """Headers are Latin-1, so such a name would break every request."""
        message = raised(name, "\u65e5\u672c", ENVIRONMENT[name])

        assert message.startswith(f"{ENVIRONMENT[name]} must be Latin-1")


class TestSeconds:
    @pytest.mark.parametrize("name", SECONDS)
    @given(
        seconds=st.floats(0.001, MAX_TIMEOUT)
        | st.integers(1, int(MAX_TIMEOUT))
        | st.decimals(1, 1000, places=2)
    )
    def test_a_number_is_accepted(self, name, seconds) -> None:
        """It may be a number, or a string in the environment."""
        given_one = getattr(load_settings({name: seconds}, {}), name)
        variable = {ENVIRONMENT[name]: f" {seconds} "}

        assert float(seconds) == given_one
        assert type(given_one) is float
        assert given_one == getattr(load_settings({}, variable), name)

    @pytest.mark.parametrize("name", SECONDS)
    @pytest.mark.parametrize(
        "value", ["15s", "", "1,5", "nan", -1, "-0.1", True, [1], 10**400, math.nan]
    )
    def test_an_invalid_duration_is_rejected(self, raised, name, value) -> None:
        """The message names the setting, the valid values and an example."""
        message = raised(name, value)

        assert message.startswith(f"{name} must be a number of seconds, 0 or more: ")
        assert message.endswith("; write for example 0.5")

    @pytest.mark.parametrize("name", TIMEOUTS)
    @pytest.mark.parametrize("value", [MAX_TIMEOUT + 1, 1e10, "1e300", 10**12])
    def test_a_timeout_is_at_most_a_week(self, raised, name, value) -> None:
        """Locks and sockets raise an error beyond limits of their own."""
        message = raised(name, value)

        assert message.startswith(f"{name} must be at most 604800 seconds: ")
        assert "; write for example 0.5" in message

    @pytest.mark.parametrize("name", [name for name in SECONDS if name not in TIMEOUTS])
    def test_an_age_is_bounded(self, raised, name) -> None:
        """It becomes milliseconds in a header, which must not overflow."""
        assert 1e9 == getattr(load_settings({name: 1e9}, {}), name)
        assert f"{name} must be at most 1000000000 seconds" in raised(name, 1e300)

    @pytest.mark.parametrize("name", SECONDS)
    def test_a_value_with_a_bad_repr_is_rejected(self, raised, name) -> None:
        """Neither an endless repr nor one that raises gets into the message."""

        class Unshown:
            def __repr__(self):
                raise OSError

        assert len(raised(name, 10**4000)) < 250
        assert "a value of type Unshown; write" in raised(name, Unshown())

    @pytest.mark.parametrize("name", [name for name in SECONDS if name not in TIMEOUTS])
    def test_a_duration_may_be_zero(self, name) -> None:
        """0 means: never fresh, never stale, flush after every invocation."""
        assert 0 == getattr(load_settings({name: 0}, {}), name)

    @pytest.mark.parametrize("name", TIMEOUTS)
    @pytest.mark.parametrize("value", [0, "0", "0.0"])
    def test_a_timeout_is_more_than_zero(self, raised, name, value) -> None:
        """With a timeout of 0 no request could succeed."""
        message = raised(name, value, ENVIRONMENT[name] if value != 0 else None)

        assert "must be more than 0 seconds" in message

    @pytest.mark.parametrize("value", [math.inf, "inf", " INF "])
    def test_only_stale_if_error_may_have_no_limit(self, raised, value) -> None:
        """Any other infinite duration is a mistake."""
        assert math.inf == load_settings({"stale_if_error": value}, {}).stale_if_error
        for name in SECONDS:
            if name != "stale_if_error":
                assert "must be a number of seconds" in raised(name, value)


class TestSnapshot:
    @pytest.mark.parametrize("value", ["flags.json", Path("flags.json")])
    def test_a_path_is_accepted(self, value) -> None:
        """It may be a string or a path object."""
        assert "flags.json" == load_settings({"snapshot": value}, {}).snapshot

    @pytest.mark.parametrize("value", [3, b"flags.json", ""])
    def test_an_invalid_path_is_rejected(self, raised, value) -> None:
        """The message shows an example."""
        message = raised("snapshot", value)

        assert message.startswith("snapshot must be the path of a JSON file")
        assert message.endswith("write for example flags.json")

    def test_a_url_is_not_a_path(self, raised) -> None:
        """Snapshots are not read from buckets, so a url is a mistake."""
        message = raised("snapshot", "s3://bucket/flags.json")

        assert "snapshot must be a local path" in message
