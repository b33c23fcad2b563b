"""Which platform is selected, and the warnings about it."""

from __future__ import annotations

import logging

from serverless_flags import Platform, hookimpl
from serverless_flags._plugins.discovery import discover
from serverless_flags._settings import load_settings
from serverless_flags.platform import Local

CLOUD = {"CLOUD": "1"}


class TestSeveral:
    def test_the_most_specific_platform_wins(self, find, adapter, caplog) -> None:
        """Knative runs on Kubernetes: both are detected, and one is more specific."""
        base, special = (
            adapter("base", specificity=1),
            adapter("special", specificity=2),
        )
        plugins = find(CLOUD, plugins=[special, base])

        assert special.platform is plugins.platform
        assert 1 == len(caplog.records)
        assert "several adapters recognise this process: base, special" in caplog.text
        assert "SERVERLESS_FLAGS_PLATFORM decides otherwise" in caplog.text

    def test_other_adapters_are_not_called(self, find, caplog) -> None:
        """Neither another platform nor its adapter is called again."""
        received = []

        class Cloud(Platform):
            def __init__(self, name, specificity) -> None:
                self.name, self.specificity = name, specificity

            @hookimpl
            def detect_platform(self):
                return self

            @hookimpl
            def begin_invocation(self):
                received.append(self.name)

        plugins = find(plugins=[Cloud("winner", 2), Cloud("loser", 1)])
        plugins.begin_invocation(object())

        assert ["winner"] == received

    def test_observers_are_called_with_the_platform(
        self, new_observer, find, adapter
    ) -> None:
        """Two observers of one class are both called."""
        observers = [new_observer(), new_observer()]
        plugins = find(CLOUD, plugins=[adapter(), *observers])
        plugins.after_flush("taken", 0.0)

        assert [["taken"], ["taken"]] == [each.outcomes for each in observers]

    def test_an_observer_may_have_the_name_of_the_platform(
        self, new_observer, find, adapter
    ) -> None:
        """Names are for people and need not be unique."""
        observer = new_observer()
        observer.name = "cloud"
        plugins = find(CLOUD, plugins=[adapter(), observer])
        plugins.after_flush("taken", 0.0)

        assert "cloud" == plugins.platform.name
        assert ["taken"] == observer.outcomes


class TestPlatformSetting:
    def test_the_setting_decides_between_several(self, find, adapter, caplog) -> None:
        """The named platform wins over a more specific one, without a warning."""
        base, special = (
            adapter("base", specificity=1),
            adapter("special", specificity=2),
        )
        plugins = find(CLOUD, plugins=[special, base], platform="base")

        assert base.platform is plugins.platform
        assert "" == caplog.text

    def test_the_setting_overrides_a_marker(
        self, adapter_source, find, install, caplog
    ) -> None:
        """If a known platform's marker is set, another adapter can be named."""
        install("serverless_flags_gcp_cloud_functions", adapter_source("gcp", "CLOUD"))
        install(
            "knative", adapter_source("knative", "FUNCTION_TARGET"), entry_point="kn"
        )
        plugins = find({**CLOUD, "FUNCTION_TARGET": "x"}, platform="knative")

        assert "knative" == plugins.platform.name
        assert "" == caplog.text

    def test_the_setting_may_name_a_known_platform(
        self, adapter_source, find, install, no_scan
    ) -> None:
        """The adapter for the marker is imported by name as usual."""
        install("serverless_flags_aws_lambda", adapter_source("aws_lambda"))
        environ = {**CLOUD, "AWS_LAMBDA_FUNCTION_NAME": "x"}

        assert "aws_lambda" == find(environ, platform="aws_lambda").platform.name

    def test_local_is_the_platform_without_an_adapter(
        self, find, no_scan, caplog
    ) -> None:
        """``local`` needs no adapter, even where a marker is set."""
        plugins = find({"FUNCTION_TARGET": "x"}, platform="local")

        assert isinstance(plugins.platform, Local)
        assert "" == caplog.text

    def test_an_unknown_name_gives_a_warning(self, find, caplog) -> None:
        """A typing error must not look like success."""
        plugins = find(platform="aws-lambda")

        assert isinstance(plugins.platform, Local)
        assert "platform='aws-lambda': no installed adapter recognises" in caplog.text


def test_without_an_adapter_the_platform_is_local(find, caplog) -> None:
    """A laptop, a test or a job gives no warning."""
    caplog.set_level(logging.DEBUG)
    plugins = find({})

    assert isinstance(plugins.platform, Local)
    assert "" == caplog.text


def test_the_environment_is_that_of_the_process(monkeypatch, adapter) -> None:
    """By default adapters get ``os.environ``."""
    monkeypatch.setenv("CLOUD", "1")
    mine = adapter()

    assert (
        mine.platform
        is discover(load_settings({"plugins": [mine]}, {}), object).platform
    )
