"""Plugins given in the settings: asked first, and checked strictly."""

from __future__ import annotations

import sys

import pytest

from serverless_flags import Platform, PluginError, hookimpl
from serverless_flags.platform import Local

CLOUD = {"CLOUD": "1"}


class TestGiven:
    def test_a_given_plugin_comes_first(
        self, new_observer, adapter_source, find, adapter, install, no_scan
    ) -> None:
        """If it detects the process, no other plugin is asked."""
        install("serverless_flags_aws_lambda", adapter_source("aws_lambda"))
        mine = adapter("mine")
        plugins = find(
            {**CLOUD, "AWS_LAMBDA_FUNCTION_NAME": "x"}, plugins=[mine, new_observer()]
        )

        assert mine.platform is plugins.platform
        assert "serverless_flags_aws_lambda" not in sys.modules

    def test_a_given_adapter_of_another_platform_is_ignored(
        self, adapter_source, find, adapter, install
    ) -> None:
        """The discovery continues, and its hooks are not called."""
        install("a_cloud", adapter_source(), entry_point="cloud")
        plugins = find(CLOUD, plugins=[adapter("other", variable="OTHER")])

        assert "cloud" == plugins.platform.name

    def test_a_module_is_given_by_its_dotted_name(
        self, adapter_source, find, install
    ) -> None:
        """So a plugin can be given in the environment."""
        install("a_cloud", adapter_source())

        assert "cloud" == find(CLOUD, plugins="a_cloud").platform.name

    @pytest.mark.parametrize("source", [None, "raise OSError('the disk')"])
    def test_a_module_that_cannot_be_imported_is_an_error(
        self, find, install, source
    ) -> None:
        """The message names the module and says what to do."""
        if source is not None:
            install("no_such_plugin", source)
        with pytest.raises(PluginError) as caught:
            find(plugins=["no_such_plugin"])

        assert str(caught.value).startswith(
            "plugin 'no_such_plugin' cannot be imported"
        )
        assert str(caught.value).endswith("is it installed?")
        assert caught.value.__cause__ is not None

    def test_a_misspelt_hook_is_an_error(self, find) -> None:
        """A misspelt hook would never be called."""

        class Misspelt:
            @hookimpl
            def after_flsh(self) -> None: ...

        with pytest.raises(PluginError, match=r"plugin 'Misspelt' does not fit.*flsh"):
            find(plugins=[Misspelt()])

    def test_a_wrong_argument_is_an_error(self, find) -> None:
        """An unknown argument could never be passed."""

        class Wrong:
            @hookimpl
            def after_flush(self, outcom) -> None: ...

        with pytest.raises(PluginError, match=r"(?s)'Wrong' does not fit.*outcom"):
            find(plugins=[Wrong()])

    @pytest.mark.parametrize("kind", ["wrapper", "hookwrapper"])
    def test_a_hook_wrapper_is_an_error(self, find, kind) -> None:
        """Hooks of the hot path are called without pluggy's loop."""

        class Wrapping:
            name = "timing"

            @hookimpl(**{kind: True})
            def read_invocation(self):
                return (yield)

        with pytest.raises(PluginError) as caught:
            find(plugins=[Wrapping()])

        assert "plugin 'timing' does not fit" in str(caught.value)
        assert "read_invocation cannot be a hook wrapper" in str(caught.value)

    def test_a_platform_that_does_not_match_is_an_error(self, find, adapter) -> None:
        """The platform of a given adapter counts as given too."""

        class Misspelt(Platform):
            name = "cloud"

            @hookimpl
            def begin_invokation(self) -> None: ...

        mine = adapter()
        mine.platform = Misspelt()
        with pytest.raises(PluginError, match="plugin 'cloud' does not fit"):
            find(CLOUD, plugins=[mine])

    def test_a_plugin_whose_attributes_raise_is_an_error(self, find) -> None:
        """Registering reads attributes; an exception then is the plugin's failure."""

        class Failing:
            def __dir__(self):
                message = "not connected"
                raise OSError(message)

        with pytest.raises(PluginError, match=r"'Failing' does not fit.*not connected"):
            find(plugins=[Failing()])

    def test_a_result_that_is_not_a_platform_is_ignored(self, find) -> None:
        """A name is not enough, because a platform carries facts."""

        class Vague:
            @hookimpl
            def detect_platform(self):
                return "cloud"

        assert isinstance(find(plugins=[Vague()]).platform, Local)
