"""Mistakes of plugin authors: each message says what to change."""

from __future__ import annotations

import importlib.metadata
import sys

import pytest
from pluggy import PluginManager, PluginValidationError

from serverless_flags import Platform, PluginError, hookimpl

CLOUD = {"CLOUD": "1"}


class TestHookimplForgotten:
    def test_on_a_method_of_the_platform(self, find, adapter, caplog) -> None:
        """An unmarked method would never be called."""

        class Cloud(Platform):
            name = "cloud"

            def read_invocation(self, args): ...

            def connect_instance(self): ...

            @hookimpl
            def end_invocation(self): ...

        mine = adapter()
        mine.platform = Cloud()
        find(CLOUD, plugins=[mine])

        (record,) = caplog.records
        assert record.getMessage() == (
            "plugin 'cloud': not marked as hooks and never called: connect_instance,"
            " read_invocation; mark them with @serverless_flags.hookimpl"
        )

    def test_on_a_function_of_a_module(self, find, install, caplog) -> None:
        """In an adapter that is installed, and in one that is given."""
        install("a_cloud", "def detect_platform(environ): ...", entry_point="cloud")
        find(CLOUD)
        find(plugins=["a_cloud"])
        words = "never called: detect_platform"

        assert [True] * 3 == [words in record.message for record in caplog.records]

    def test_a_platform_that_detects_itself_gives_one_warning(
        self, find, caplog
    ) -> None:
        """One object is both the plugin and the platform."""

        class Cloud(Platform):
            name = "cloud"

            @hookimpl
            def detect_platform(self):
                return self

            def end_invocation(self): ...

        find(plugins=[Cloud()])

        assert 1 == len(caplog.records)

    def test_everywhere(self, find, caplog) -> None:
        """A plugin without any hook observes nothing."""
        find(plugins=[object()])

        (record,) = caplog.records
        assert record.getMessage() == (
            "plugin 'object' has no hook: mark its functions with"
            " serverless_flags.hookimpl"
        )


class TestWhatIsGiven:
    def test_a_platform_in_place_of_its_adapter(self, find, caplog) -> None:
        """Without ``detect_platform`` it is never asked whether it applies."""

        class Cloud(Platform):
            name = "cloud"

            @hookimpl
            def end_invocation(self): ...

        assert "local" == find(plugins=[Cloud()]).platform.name
        assert "plugin 'cloud' is a Platform and only observes" in caplog.text

    def test_a_class_in_place_of_an_instance(self, find, new_observer) -> None:
        """Its methods would get the first argument as ``self``."""
        with pytest.raises(PluginError) as caught:
            find(plugins=[new_observer])

        assert str(caught.value) == (
            "plugin 'Observer' does not fit the hook specification: it is a class,"
            " whose after_flush needs an instance: Observer()"
        )

    def test_a_class_with_static_methods(self, find) -> None:
        """Such a class is a namespace, like a module."""
        received = []

        class Observer:
            @staticmethod
            @hookimpl
            def after_flush(outcome) -> None:
                received.append(outcome)

        find(plugins=[Observer]).after_flush("taken", 0.0)

        assert ["taken"] == received

    def test_a_name_that_is_not_a_string(self, find, new_observer) -> None:
        """The name of the class is used instead."""
        observer = new_observer()
        observer.name = 7
        find(plugins=[observer]).after_flush("taken", 0.0)

        assert ["taken"] == observer.outcomes


async def coroutine(self, outcome): ...


def generator(self, outcome):
    yield


async def both(self, outcome):
    yield


@pytest.mark.parametrize("hook", [coroutine, generator, both])
def test_a_hook_that_a_call_does_not_run_is_an_error(find, hook) -> None:
    """Calling a coroutine function without awaiting it does nothing."""
    plugin = type("Late", (), {"after_flush": hookimpl(hook)})
    hook.__name__ = "after_flush"

    with pytest.raises(PluginError, match=r"'Late' does not fit.*write a plain def"):
        find(plugins=[plugin()])


class TestMisspelt:
    def test_a_hook(self, find) -> None:
        """The message suggests the nearest name and lists all hooks."""

        class Misspelt:
            @hookimpl
            def after_flsh(self) -> None: ...

        with pytest.raises(PluginError) as caught:
            find(plugins=[Misspelt()])

        assert str(caught.value).startswith(
            "plugin 'Misspelt' does not fit the hook specification: there is no hook"
            " after_flsh; did you mean after_flush? there are after_flush, after_refre"
        )

    def test_an_argument(self, find) -> None:
        """The message lists the hook's arguments."""

        class Wrong:
            @hookimpl
            def after_flush(self, outcom, mine=None) -> None: ...

        with pytest.raises(PluginError) as caught:
            find(plugins=[Wrong()])

        assert str(caught.value) == (
            "plugin 'Wrong' does not fit the hook specification: after_flush has no"
            " argument outcom; did you mean outcome? there are outcome, seconds,"
            " session"
        )

    def test_an_argument_of_a_hook_with_another_name(self, find) -> None:
        """``specname`` says which hook a function implements."""

        class Wrong:
            @staticmethod
            @hookimpl(specname="end_invocation")
            def farewell(event) -> None: ...

        with pytest.raises(PluginError, match="end_invocation has no argument event; "):
            find(plugins=[Wrong()])

    def test_the_platform(self, find, adapter, caplog) -> None:
        """The message about the setting lists the platforms, the nearest first."""
        find(plugins=[adapter("mine")], platform="aws-lambda")

        assert "; did you mean aws_lambda? there are Adapter, aws_lamb" in caplog.text

    def test_only_the_mistake_is_named(self, find) -> None:
        """Correct hooks and other attributes are not mentioned."""

        class Plugin:
            after = "a text"

            @hookimpl
            def after_flush(self, outcome, seconds) -> None: ...

            def help(self) -> None: ...

            @hookimpl
            def disconnect_instance(self, why) -> None: ...

        with pytest.raises(PluginError) as caught:
            find(plugins=[Plugin()])

        assert str(caught.value).endswith(
            ": disconnect_instance has no argument why; there are reason, session"
        )

    def test_other_errors_of_pluggy(self, find, monkeypatch) -> None:
        """Its own message is shown."""

        class Observer:
            @hookimpl
            def after_flush(self) -> None: ...

        def refuse(_manager):
            raise PluginValidationError(Observer, "out of spirits")

        monkeypatch.setattr(PluginManager, "check_pending", refuse)
        with pytest.raises(PluginError, match="specification: out of spirits"):
            find(plugins=[Observer()])


class TestTwoOfOneName:
    def test_the_distributions_are_named(
        self, adapter_source, find, install, caplog
    ) -> None:
        """The setting cannot decide between them, so one has to be uninstalled."""
        install("one", adapter_source(), entry_point="one")
        install("two", adapter_source(), entry_point="two")
        find(CLOUD)

        (record,) = caplog.records
        assert record.getMessage() == (
            "several adapters of one name recognise this process: cloud (distribution"
            " one), cloud (distribution two); the most specific one wins; uninstall"
            " the others"
        )

    def test_without_a_distribution_the_module_is_named(
        self, find, adapter, caplog, monkeypatch
    ) -> None:
        """For a plugin given in the settings, or one that is half installed."""
        point = importlib.metadata.EntryPoint("x", Platform.__module__, "x")
        monkeypatch.setattr(importlib.metadata, "entry_points", lambda **_: [point])
        find(CLOUD, plugins=[adapter(), adapter()])
        module = sys.modules[adapter.__module__].__name__

        assert 2 == caplog.text.count(f"cloud (module {module})")
