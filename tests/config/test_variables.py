"""Environment variables that look like settings but are not."""

from __future__ import annotations

import pytest

from serverless_flags import FlagSession
from serverless_flags._settings import ADAPTERS, ENVIRONMENT, load_settings
from serverless_flags._settings import variables as variables_module


@pytest.fixture(name="said")
def _said(monkeypatch, caplog):
    """Return a function that loads settings and returns the warnings."""
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
def test_the_intended_variable_is_suggested(said, variable, meant):
    """The warning names both variables, and not the value, which may be the token."""
    (message,) = said(variable)

    assert message == (
        f"the environment variable {variable} has no effect: it is not a setting;"
        f" did you mean {meant}?"
    )


def test_without_a_similar_name_the_page_is_named(said):
    """A variable with the prefix of this package has no effect."""
    (message,) = said("SERVERLESS_FLAGS_QQQ")

    assert message == (
        "the environment variable SERVERLESS_FLAGS_QQQ has no effect: it is not a"
        " setting; see the page Settings of the documentation"
    )


def test_a_process_warns_once(said):
    """Each variable is named once, however many sessions there are."""
    assert 2 == len(said("SERVERLESS_FLAGS_MAXAGE", "UNLEASH_TOKEN"))
    assert [] == said("SERVERLESS_FLAGS_MAXAGE", "UNLEASH_TOKEN")
    assert 1 == len(said("SERVERLESS_FLAGS_MAXAGE", "SERVERLESS_FLAGS_MAXAG"))


def test_known_variables_give_no_warning(caplog):
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
def test_variables_of_other_programs_give_no_warning(said, variable):
    """Other tools have such variables, and newer adapters may read more of them."""
    assert [] == said(variable)


def test_an_empty_variable_is_not_set(caplog):
    """Deployment tools write empty variables for settings that are not configured."""
    load_settings({}, {"SERVERLESS_FLAGS_MAXAGE": "", "UNLEASH_TOKEN": ""})

    assert "" == caplog.text


def test_a_variable_for_a_given_setting_gives_no_warning(said):
    """As in ``api_token=os.environ["UNLEASH_TOKEN"]``."""
    assert [] == said("UNLEASH_TOKEN", api_token="s3cr3t")


def test_variables_of_plugins_give_no_warning(said, monkeypatch, tmp_path):
    """A third party's adapter, installed or given, may have its own variables."""
    metadata = tmp_path / "a_cloud-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Name: a-cloud\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text("[serverless_flags]\na-cloud = cloud\n")
    variables = [f"SERVERLESS_FLAGS_{name}_MAX_AGE" for name in ("A_CLOUD", "B", "C")]

    class Plugin:
        name = "c"

    assert 3 == len(said(*variables))
    monkeypatch.setattr(variables_module, "_warned", set())
    monkeypatch.syspath_prepend(str(tmp_path))
    plugins = ["mine.serverless_flags_b", Plugin(), object()]

    assert [] == said(*variables, plugins=plugins)


def test_a_session_warns(monkeypatch, caplog):
    """It loads its settings from the environment of the process."""
    monkeypatch.setattr(variables_module, "_warned", set())
    monkeypatch.setenv("SERVERLESS_FLAGS_MAXAGE", "5")
    FlagSession()

    assert "SERVERLESS_FLAGS_MAXAGE has no effect" in caplog.text
