"""Plugins that are found: by the platform's marker, then by entry point."""

from __future__ import annotations

import sys

import pytest

from serverless_flags._plugins.discovery import MARKERS
from serverless_flags.platform import Local

CLOUD = {"CLOUD": "1"}


class TestKnownPlatforms:
    @pytest.mark.parametrize(("variables", "word"), MARKERS)
    def test_the_adapter_is_imported_by_name(
        self, doorbell, find, install, no_scan, caplog, variables, word
    ) -> None:
        """A marker in the environment is enough; no entry point is looked at."""
        install(f"serverless_flags_{word}", doorbell(word, variables[0]))
        plugins = find(dict.fromkeys(variables, "x"))

        assert word == plugins.platform.name
        assert "" == caplog.text

    @pytest.mark.parametrize("variable", ["FUNCTION_NAME", "GCP_PROJECT"])
    def test_half_a_marker_is_none(self, find, variable) -> None:
        """Either variable alone is somebody else's."""
        assert isinstance(find({variable: "x"}).platform, Local)

    def test_an_empty_variable_is_no_marker(self, find, caplog) -> None:
        """Empty is not set, here too."""
        assert isinstance(find({"FUNCTION_TARGET": ""}).platform, Local)
        assert "" == caplog.text

    @pytest.mark.parametrize(("variables", "word"), MARKERS)
    def test_a_missing_adapter_is_named(self, find, caplog, variables, word) -> None:
        """Silence would mean lost counts: the warning is the command to type."""
        plugins = find(dict.fromkeys(variables, "x"))

        assert isinstance(plugins.platform, Local)
        assert 1 == len(caplog.records)
        assert f"this is {word} and its adapter is not installed" in caplog.text
        assert f"pip install serverless-flags-{word.replace('_', '-')}" in caplog.text

    def test_a_third_partys_adapter_takes_its_place(
        self, doorbell, find, install
    ) -> None:
        """Without the known adapter the entry points are asked."""
        install("other_lambda", doorbell("mine", "FUNCTION_TARGET"), entry_point="mine")

        assert "mine" == find({"FUNCTION_TARGET": "x"}).platform.name

    @pytest.mark.parametrize(
        "source", ["import no_such_module_anywhere", "raise OSError('x')", "def"]
    )
    def test_a_broken_adapter_does_not_break_the_function(
        self, find, install, caplog, source
    ) -> None:
        """An adapter that cannot be imported is told of, and no flag is lost."""
        install("serverless_flags_aws_lambda", source)
        plugins = find({"AWS_LAMBDA_FUNCTION_NAME": "x"})

        assert isinstance(plugins.platform, Local)
        assert "plugin 'aws_lambda' cannot be loaded" in caplog.text
        assert "pip install" not in caplog.text
        assert caplog.records[0].exc_info


class TestEntryPoints:
    def test_an_installed_adapter_is_found(self, doorbell, find, install) -> None:
        """A package says by an entry point that it has an adapter."""
        install("a_cloud", doorbell(), entry_point="cloud")

        assert "cloud" == find(CLOUD).platform.name
        assert isinstance(find({}).platform, Local)

    def test_an_installed_observer_hears(self, find, install) -> None:
        """A plugin that recognises nothing observes, whatever the platform."""
        source = """
        from serverless_flags import hookimpl

        heard = []

        @hookimpl
        def after_refresh(outcome):
            heard.append(outcome)
        """
        install("an_observer", source, entry_point="observer")
        find({}).after_refresh("changed", 0.0)

        assert ["changed"] == sys.modules["an_observer"].heard

    def test_a_plugin_given_and_found_hears_once(self, find, install) -> None:
        """Naming what is installed anyway changes nothing."""
        source = """
        from serverless_flags import hookimpl

        heard = []

        @hookimpl
        def after_refresh(outcome):
            heard.append(outcome)
        """
        install("an_observer", source, entry_point="observer")
        find({}, plugins=["an_observer"]).after_refresh("changed", 0.0)

        assert ["changed"] == sys.modules["an_observer"].heard

    def test_a_plugin_that_cannot_be_loaded_is_left_out(
        self, doorbell, find, install, caplog
    ) -> None:
        """It is named in a warning; the others are asked."""
        install("broken", "import no_such_module_anywhere", entry_point="broken")
        install("a_cloud", doorbell(), entry_point="cloud")

        assert "cloud" == find(CLOUD).platform.name
        assert "plugin 'broken' cannot be loaded" in caplog.text

    def test_a_plugin_that_fails_to_detect_is_left_out(
        self, doorbell, find, install, caplog
    ) -> None:
        """Its fault is logged with its name; the others are asked."""
        source = """
        from serverless_flags import hookimpl

        @hookimpl
        def detect_platform():
            raise OSError("no")
        """
        install("failing", source, entry_point="failing")
        install("a_cloud", doorbell(), entry_point="cloud")

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
    def test_a_plugin_that_does_not_fit_is_left_out(
        self, doorbell, find, install, caplog, hook
    ) -> None:
        """It is named in a warning, and costs the process nothing but itself."""
        text = f"from serverless_flags import hookimpl\n{hook}\n"
        install("unfit", text, entry_point="unfit")
        install("a_cloud", doorbell(), entry_point="cloud")

        assert "cloud" == find(CLOUD).platform.name
        assert "plugin 'unfit' does not fit the hook specification" in caplog.text
        assert "going on without it" in caplog.text

    def test_a_platform_that_does_not_fit_is_left_out(
        self, new_observer, doorbell, find, install, caplog
    ) -> None:
        """Then the process has none; the observers hear all the same."""
        source = doorbell() + (
            "\n    Cloud.begin_invokation = hookimpl(lambda self: None)\n"
        )
        install("a_cloud", source, entry_point="cloud")
        observer = new_observer()
        plugins = find(CLOUD, plugins=[observer])
        plugins.after_flush("taken", 0.0)

        assert isinstance(plugins.platform, Local)
        assert "plugin 'cloud' does not fit the hook specification" in caplog.text
        assert ["taken"] == observer.outcomes
