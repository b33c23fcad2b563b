"""Plugins that are discovered: by the platform's marker, then by entry point."""

from __future__ import annotations

import sys

import pytest

from serverless_flags._plugins.discovery import MARKERS
from serverless_flags.platform import Local

CLOUD = {"CLOUD": "1"}


class TestKnownPlatforms:
    @pytest.mark.parametrize(("variables", "name"), MARKERS)
    def test_the_adapter_is_imported_by_name(
        self, adapter_source, find, install, no_scan, caplog, variables, name
    ) -> None:
        """A marker in the environment is enough; no entry points are scanned."""
        install(f"serverless_flags_{name}", adapter_source(name, variables[0]))
        plugins = find(dict.fromkeys(variables, "x"))

        assert name == plugins.platform.name
        assert "" == caplog.text

    @pytest.mark.parametrize("variable", ["FUNCTION_NAME", "GCP_PROJECT"])
    def test_a_marker_needs_both_variables(self, find, variable) -> None:
        """Either variable alone may belong to another platform."""
        assert isinstance(find({variable: "x"}).platform, Local)

    def test_an_empty_variable_is_not_a_marker(self, find, caplog) -> None:
        """An empty variable counts as not set."""
        assert isinstance(find({"FUNCTION_TARGET": ""}).platform, Local)
        assert "" == caplog.text

    @pytest.mark.parametrize(("variables", "name"), MARKERS)
    def test_a_missing_adapter_is_named(self, find, caplog, variables, name) -> None:
        """The warning has the command to type, because counts may be lost."""
        plugins = find(dict.fromkeys(variables, "x"))

        assert isinstance(plugins.platform, Local)
        assert 1 == len(caplog.records)
        assert f"this is {name} and its adapter is not installed" in caplog.text
        assert f"pip install serverless-flags-{name.replace('_', '-')}" in caplog.text

    def test_a_third_partys_adapter_is_used_instead(
        self, adapter_source, find, install
    ) -> None:
        """Without the known adapter the entry points are scanned."""
        install(
            "other_lambda",
            adapter_source("mine", "FUNCTION_TARGET"),
            entry_point="mine",
        )

        assert "mine" == find({"FUNCTION_TARGET": "x"}).platform.name

    @pytest.mark.parametrize(
        "source", ["import no_such_module_anywhere", "raise OSError('x')", "def"]
    )
    def test_a_broken_adapter_does_not_break_the_function(
        self, find, install, caplog, source
    ) -> None:
        """The import error is logged, and flags are served."""
        install("serverless_flags_aws_lambda", source)
        plugins = find({"AWS_LAMBDA_FUNCTION_NAME": "x"})

        assert isinstance(plugins.platform, Local)
        assert "plugin 'aws_lambda' cannot be loaded" in caplog.text
        assert "pip install" not in caplog.text
        assert caplog.records[0].exc_info


class TestEntryPoints:
    def test_an_installed_adapter_is_found(self, adapter_source, find, install) -> None:
        """A package announces its adapter by an entry point."""
        install("a_cloud", adapter_source(), entry_point="cloud")

        assert "cloud" == find(CLOUD).platform.name
        assert isinstance(find({}).platform, Local)

    def test_an_installed_observer_is_called(self, find, install) -> None:
        """A plugin that detects no platform observes every platform."""
        source = """
        from serverless_flags import hookimpl

        received = []

        @hookimpl
        def after_refresh(outcome):
            received.append(outcome)
        """
        install("an_observer", source, entry_point="observer")
        find({}).after_refresh("changed", 0.0)

        assert ["changed"] == sys.modules["an_observer"].received

    def test_a_plugin_given_and_found_is_called_once(self, find, install) -> None:
        """Giving a plugin that is installed anyway changes nothing."""
        source = """
        from serverless_flags import hookimpl

        received = []

        @hookimpl
        def after_refresh(outcome):
            received.append(outcome)
        """
        install("an_observer", source, entry_point="observer")
        find({}, plugins=["an_observer"]).after_refresh("changed", 0.0)

        assert ["changed"] == sys.modules["an_observer"].received

    def test_a_plugin_that_cannot_be_loaded_is_left_out(
        self, adapter_source, find, install, caplog
    ) -> None:
        """A warning names it, and the other plugins are used."""
        install("broken", "import no_such_module_anywhere", entry_point="broken")
        install("a_cloud", adapter_source(), entry_point="cloud")

        assert "cloud" == find(CLOUD).platform.name
        assert "plugin 'broken' cannot be loaded" in caplog.text

    def test_a_plugin_that_fails_to_detect_is_left_out(
        self, adapter_source, find, install, caplog
    ) -> None:
        """Its failure is logged with its name, and the other plugins are asked."""
        source = """
        from serverless_flags import hookimpl

        @hookimpl
        def detect_platform():
            raise OSError("no")
        """
        install("failing", source, entry_point="failing")
        install("a_cloud", adapter_source(), entry_point="cloud")

        assert "cloud" == find(CLOUD).platform.name
        assert "plugin 'failing' failed in detect_platform" in caplog.text

    @pytest.mark.parametrize(
        "hook",
        [
            "@hookimpl\ndef detect_platfrom(environ): ...",
            "@hookimpl\ndef detect_platform(environment): ...",
            "@hookimpl(wrapper=True)\ndef after_flush():\n    return (yield)",
            "@hookimpl(hookwrapper=True)\ndef read_invocation():\n    yield",
        ],
        ids=["misspelt-hook", "misspelt-argument", "wrapper", "hookwrapper"],
    )
    def test_a_plugin_that_does_not_match_is_left_out(
        self, adapter_source, find, install, caplog, hook
    ) -> None:
        """A warning names it, and the other plugins are used."""
        text = f"from serverless_flags import hookimpl\n{hook}\n"
        install("unfit", text, entry_point="unfit")
        install("a_cloud", adapter_source(), entry_point="cloud")

        assert "cloud" == find(CLOUD).platform.name
        assert "plugin 'unfit' does not fit the hook specification" in caplog.text
        assert "going on without it" in caplog.text

    def test_a_platform_that_does_not_match_is_left_out(
        self, new_observer, adapter_source, find, install, caplog
    ) -> None:
        """The process has no platform then; the observers are still called."""
        source = adapter_source() + (
            "\n    Cloud.begin_invokation = hookimpl(lambda self: None)\n"
        )
        install("a_cloud", source, entry_point="cloud")
        observer = new_observer()
        plugins = find(CLOUD, plugins=[observer])
        plugins.after_flush("taken", 0.0)

        assert isinstance(plugins.platform, Local)
        assert "plugin 'cloud' does not fit the hook specification" in caplog.text
        assert ["taken"] == observer.outcomes
