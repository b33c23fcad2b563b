"""Environment variables that look like settings and are none."""

from __future__ import annotations

import pytest

from serverless_flags import FlagSession
from serverless_flags._settings import ADAPTERS, ENVIRONMENT, load_settings
from serverless_flags._settings import variables as variables_module


@pytest.fixture(name="said")
def _said(monkeypatch, caplog):
    """Return what makes settings in an environment and returns the warnings."""
    monkeypatch.setattr(variables_module, "_warned", set())

    def said(*variables, **given):
        caplog.clear()
        load_settings(given, dict.fromkeys(variables, "s3cr3t"))
        return [record.getMessage() for record in caplog.records]

    return said


@pytest.mark.parametrize(
    ("variable", "meant"),
    [
        ("SERVERLESS_FLAGS_MAXAGE", "SERVERLESS_FLAGS_MAX_AGE"),
        ("SERVERLESS_FLAGS_MAX_AGES", "SERVERLESS_FLAGS_MAX_AGE"),
        ("SERVERLESS_FLAG_MAX_AGE", "SERVERLESS_FLAGS_MAX_AGE"),
        ("SERVERLESSFLAGS_MAX_AGE", "SERVERLESS_FLAGS_MAX_AGE"),
        ("serverless_flags_max_age", "SERVERLESS_FLAGS_MAX_AGE"),
        ("SERVERLESS_FLAGS_URL", "UNLEASH_URL"),
        ("SERVERLESS_FLAGS_API_TOKEN", "UNLEASH_API_TOKEN"),
        ("SERVERLESS_FLAGS_TOKEN", "UNLEASH_API_TOKEN"),
        ("SERVERLESS_FLAGS_FLUSHINTERVAL", "SERVERLESS_FLAGS_FLUSH_INTERVAL"),
        (
            "SERVERLESS_FLAGS_AWS_LAMBDA_AFTERRESPONSE",
            "SERVERLESS_FLAGS_AWS_LAMBDA_AFTER_RESPONSE",
        ),
        ("UNLEASH_TOKEN", "UNLEASH_API_TOKEN"),
        ("UNLEASH_API_KEY", "UNLEASH_API_TOKEN"),
        ("UNLEASH_KEY", "UNLEASH_API_TOKEN"),
        ("UNLEASH_API_TOKN", "UNLEASH_API_TOKEN"),
        ("UNLEASH_API_URL", "UNLEASH_URL"),
        ("UNLEASH_HOST", "UNLEASH_URL"),
        ("UNLEASHURL", "UNLEASH_URL"),
        ("Unleash_Url", "UNLEASH_URL"),
        ("UNLEASH_APPNAME", "UNLEASH_APP_NAME"),
        ("UNLEASH_ENV", "UNLEASH_ENVIRONMENT"),
        ("UNLEASH_PROJECT_NAME", "UNLEASH_PROJECT"),
        ("UNLEASH_INSTANCEID", "UNLEASH_INSTANCE_ID"),
        ("UNLEASH_MAX_AGE", "SERVERLESS_FLAGS_MAX_AGE"),
        ("UNLEASH_SNAPSHOT", "SERVERLESS_FLAGS_SNAPSHOT"),
    ],
)
def test_the_variable_that_is_meant_is_named(said, variable, meant):
    """One warning names both and not what the variable holds: it may be the token."""
    (message,) = said(variable)

    assert message == (
        f"the environment variable {variable} has no effect: it is not a setting;"
        f" did you mean {meant}?"
    )


def test_where_nothing_is_near_the_list_is_named(said):
    """The prefix is ours: whatever it is, it has no effect."""
    (message,) = said("SERVERLESS_FLAGS_QQQ")

    assert message == (
        "the environment variable SERVERLESS_FLAGS_QQQ has no effect: it is not a"
        " setting; see the page Settings of the documentation"
    )


def test_a_process_is_warned_once(said):
    """Each variable is named once, however many sessions there are."""
    assert 2 == len(said("SERVERLESS_FLAGS_MAXAGE", "UNLEASH_TOKEN"))
    assert [] == said("SERVERLESS_FLAGS_MAXAGE", "UNLEASH_TOKEN")
    assert 1 == len(said("SERVERLESS_FLAGS_MAXAGE", "SERVERLESS_FLAGS_MAXAG"))


def test_known_variables_are_silent(caplog):
    """Those of every setting, and those of the adapters."""
    values = {"UNLEASH_URL": "http://x/api", "SERVERLESS_FLAGS_CLIENT": "memory"}
    names = [*ENVIRONMENT.values(), *ADAPTERS]
    load_settings({}, {name: values.get(name, "1") for name in names})

    assert "" == caplog.text


@pytest.mark.parametrize(
    "variable",
    [
        "UNLEASH_ADMIN_TOKEN",
        "UNLEASH_EDGE_PORT",
        "UNLEASH_QQQ",
        "SERVERLESS_FLAGSHIP_STORE",
        "SERVERLESS_FLAGS_AWS_LAMBDA_SOMETHING_NEW",
        "SERVERLESS_REGION",
    ],
)
def test_what_others_may_read_is_silent(said, variable):
    """Other tools have variables too, and a newer adapter may have more of them."""
    assert [] == said(variable)


def test_an_empty_variable_is_not_set(caplog):
    """Deploy tools write empty variables for what is not configured."""
    load_settings({}, {"SERVERLESS_FLAGS_MAXAGE": "", "UNLEASH_TOKEN": ""})

    assert "" == caplog.text


def test_what_the_user_reads_is_silent(said):
    """``api_token=os.environ["UNLEASH_TOKEN"]`` gives the setting its value."""
    assert [] == said("UNLEASH_TOKEN", api_token="s3cr3t")


def test_variables_of_plugins_are_silent(said, monkeypatch, tmp_path):
    """A third party's adapter names its variables by itself: installed, or given."""
    metadata = tmp_path / "a_cloud-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Name: a-cloud\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text("[serverless_flags]\na-cloud = cloud\n")
    variables = [f"SERVERLESS_FLAGS_{word}_MAX_AGE" for word in ("A_CLOUD", "B", "C")]

    class Plugin:
        name = "c"

    assert 3 == len(said(*variables))
    monkeypatch.setattr(variables_module, "_warned", set())
    monkeypatch.syspath_prepend(str(tmp_path))
    plugins = ["mine.serverless_flags_b", Plugin(), object()]

    assert [] == said(*variables, plugins=plugins)


def test_a_session_warns(monkeypatch, caplog):
    """It is made from the environment of the process."""
    monkeypatch.setattr(variables_module, "_warned", set())
    monkeypatch.setenv("SERVERLESS_FLAGS_MAXAGE", "5")
    FlagSession()

    assert "SERVERLESS_FLAGS_MAXAGE has no effect" in caplog.text
