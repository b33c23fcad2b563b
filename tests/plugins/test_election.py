"""Which plugins are found, which platform is elected, and what is said about it."""

from __future__ import annotations

import importlib.metadata
import logging
import sys

import pytest

from serverless_flags import Platform, PluginError, hookimpl
from serverless_flags._plugins import MARKERS
from serverless_flags.platform import Local

CLOUD = {"CLOUD": "1"}

DOORBELL = """
    from serverless_flags import Platform, hookimpl

    class Cloud(Platform):
        name = {name!r}
        specificity = {specificity}

    asked = []

    @hookimpl
    def detect_platform(environ):
        asked.append(dict(environ))
        return Cloud() if {variable!r} in environ else None
"""


def doorbell(name="cloud", variable="CLOUD", specificity=0) -> str:
    return DOORBELL.format(name=name, variable=variable, specificity=specificity)


class Observer:
    """A plugin of no platform."""

    def __init__(self) -> None:
        self.outcomes: list[str] = []

    @hookimpl
    def after_flush(self, outcome) -> None:
        self.outcomes.append(outcome)


@pytest.fixture(name="no_scan")
def _no_scan(monkeypatch):
    """Fail when the entry points are scanned: that costs a cold start 40 ms."""

    def scan(**_group):
        message = "the entry points were scanned"
        raise AssertionError(message)

    monkeypatch.setattr(importlib.metadata, "entry_points", scan)


class TestKnownPlatforms:
    @pytest.mark.parametrize(("variables", "word"), MARKERS)
    def test_the_adapter_is_imported_by_name(
        self, find, install, no_scan, caplog, variables, word
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

    def test_a_third_partys_adapter_takes_its_place(self, find, install) -> None:
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
    def test_an_installed_adapter_is_found(self, find, install) -> None:
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
        find({}).after_refresh(object(), "changed", 0.0)

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
        find({}, plugins=["an_observer"]).after_refresh(object(), "changed", 0.0)

        assert ["changed"] == sys.modules["an_observer"].heard

    def test_a_plugin_that_cannot_be_loaded_is_left_out(
        self, find, install, caplog
    ) -> None:
        """It is named in a warning; the others are asked."""
        install("broken", "import no_such_module_anywhere", entry_point="broken")
        install("a_cloud", doorbell(), entry_point="cloud")

        assert "cloud" == find(CLOUD).platform.name
        assert "plugin 'broken' cannot be loaded" in caplog.text

    def test_a_plugin_that_fails_to_detect_is_left_out(
        self, find, install, caplog
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
        self, find, install, caplog, hook
    ) -> None:
        """It is named in a warning, and costs the process nothing but itself."""
        text = f"from serverless_flags import hookimpl\n{hook}\n"
        install("unfit", text, entry_point="unfit")
        install("a_cloud", doorbell(), entry_point="cloud")

        assert "cloud" == find(CLOUD).platform.name
        assert "plugin 'unfit' does not fit the hook specification" in caplog.text
        assert "going on without it" in caplog.text

    def test_a_platform_that_does_not_fit_is_left_out(
        self, find, install, caplog
    ) -> None:
        """Then the process has none; the observers hear all the same."""
        source = doorbell() + (
            "\n    Cloud.begin_invokation = hookimpl(lambda self: None)\n"
        )
        install("a_cloud", source, entry_point="cloud")
        observer = Observer()
        plugins = find(CLOUD, plugins=[observer])
        plugins.after_flush(object(), "taken", 0.0)

        assert isinstance(plugins.platform, Local)
        assert "plugin 'cloud' does not fit the hook specification" in caplog.text
        assert ["taken"] == observer.outcomes


class TestSeveral:
    def test_the_most_specific_platform_wins(self, find, adapter, caplog) -> None:
        """Knative runs on Kubernetes: both are right, one is more so."""
        base, special = (
            adapter("base", specificity=1),
            adapter("special", specificity=2),
        )
        plugins = find(CLOUD, plugins=[special, base])

        assert special.platform is plugins.platform
        assert 1 == len(caplog.records)
        assert "several adapters recognise this process: base, special" in caplog.text
        assert "SERVERLESS_FLAGS_PLATFORM decides otherwise" in caplog.text

    def test_losers_hear_nothing(self, find, caplog) -> None:
        """Neither a platform that lost nor its doorbell is called again."""
        heard = []

        class Cloud(Platform):
            def __init__(self, name, specificity) -> None:
                self.name, self.specificity = name, specificity

            @hookimpl
            def detect_platform(self):
                return self

            @hookimpl
            def begin_invocation(self):
                heard.append(self.name)

        plugins = find(plugins=[Cloud("winner", 2), Cloud("loser", 1)])
        plugins.begin_invocation(object())

        assert ["winner"] == heard

    def test_observers_hear_beside_the_platform(self, find, adapter) -> None:
        """Two of one class do as well."""
        observers = [Observer(), Observer()]
        plugins = find(CLOUD, plugins=[adapter(), *observers])
        plugins.after_flush(object(), "taken", 0.0)

        assert [["taken"], ["taken"]] == [each.outcomes for each in observers]

    def test_an_observer_may_be_called_like_the_platform(self, find, adapter) -> None:
        """Names are for people: a clash is none."""
        observer = Observer()
        observer.name = "cloud"
        plugins = find(CLOUD, plugins=[adapter(), observer])
        plugins.after_flush(object(), "taken", 0.0)

        assert "cloud" == plugins.platform.name
        assert ["taken"] == observer.outcomes


class TestGiven:
    def test_a_given_plugin_comes_first(self, find, adapter, install, no_scan) -> None:
        """When it recognises the process, nobody else is asked."""
        install("serverless_flags_aws_lambda", doorbell("aws_lambda"))
        mine = adapter("mine")
        plugins = find(
            {**CLOUD, "AWS_LAMBDA_FUNCTION_NAME": "x"}, plugins=[mine, Observer()]
        )

        assert mine.platform is plugins.platform
        assert "serverless_flags_aws_lambda" not in sys.modules

    def test_a_given_adapter_that_is_not_at_home_changes_nothing(
        self, find, adapter, install
    ) -> None:
        """The search goes on, and it hears nothing of what follows."""
        install("a_cloud", doorbell(), entry_point="cloud")
        plugins = find(CLOUD, plugins=[adapter("other", variable="OTHER")])

        assert "cloud" == plugins.platform.name

    def test_a_module_is_given_by_its_dotted_name(self, find, install) -> None:
        """So it can stand in the environment."""
        install("a_cloud", doorbell())

        assert "cloud" == find(CLOUD, plugins="a_cloud").platform.name

    @pytest.mark.parametrize("source", [None, "raise OSError('the disk')"])
    def test_a_module_that_cannot_be_imported_is_an_error(
        self, find, install, source
    ) -> None:
        """What was asked for by name must be there; the message names the cure."""
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
        """A hook that is never called is a mistake the author wants to hear of."""

        class Misspelt:
            @hookimpl
            def after_flsh(self) -> None: ...

        with pytest.raises(PluginError, match=r"plugin 'Misspelt' does not fit.*flsh"):
            find(plugins=[Misspelt()])

    def test_a_wrong_argument_is_an_error(self, find) -> None:
        """An argument that is never given as well."""

        class Wrong:
            @hookimpl
            def after_flush(self, outcom) -> None: ...

        with pytest.raises(PluginError, match=r"(?s)'Wrong' does not fit.*outcom"):
            find(plugins=[Wrong()])

    @pytest.mark.parametrize("kind", ["wrapper", "hookwrapper"])
    def test_a_hook_wrapper_is_an_error(self, find, kind) -> None:
        """A hook of the hot path is called without pluggy's loop."""

        class Wrapping:
            name = "timing"

            @hookimpl(**{kind: True})
            def read_invocation(self):
                return (yield)

        with pytest.raises(PluginError) as caught:
            find(plugins=[Wrapping()])

        assert "plugin 'timing' does not fit" in str(caught.value)
        assert "read_invocation cannot be a hook wrapper" in str(caught.value)

    def test_a_platform_that_does_not_fit_is_an_error(self, find, adapter) -> None:
        """What the given adapter answers was given too."""

        class Misspelt(Platform):
            name = "cloud"

            @hookimpl
            def begin_invokation(self) -> None: ...

        mine = adapter()
        mine.platform = Misspelt()
        with pytest.raises(PluginError, match="plugin 'cloud' does not fit"):
            find(CLOUD, plugins=[mine])

    def test_a_plugin_that_cannot_be_looked_at_is_an_error(self, find) -> None:
        """Registering reads attributes; whatever happens then is the plugin's fault."""

        class Failing:
            def __dir__(self):
                message = "not connected"
                raise OSError(message)

        with pytest.raises(PluginError, match=r"'Failing' does not fit.*not connected"):
            find(plugins=[Failing()])

    def test_an_answer_that_is_no_platform_is_none(self, find) -> None:
        """A name is not enough: a platform carries facts."""

        class Vague:
            @hookimpl
            def detect_platform(self):
                return "cloud"

        assert isinstance(find(plugins=[Vague()]).platform, Local)


class TestPlatformSetting:
    def test_it_decides_between_several(self, find, adapter, caplog) -> None:
        """The named one wins over a more specific one, without a warning."""
        base, special = (
            adapter("base", specificity=1),
            adapter("special", specificity=2),
        )
        plugins = find(CLOUD, plugins=[special, base], platform="base")

        assert base.platform is plugins.platform
        assert "" == caplog.text

    def test_it_decides_against_a_marker(self, find, install, caplog) -> None:
        """Where a known platform's marker is set, another adapter may be right."""
        install("serverless_flags_gcp_cloud_functions", doorbell("gcp", "CLOUD"))
        install("knative", doorbell("knative", "FUNCTION_TARGET"), entry_point="kn")
        plugins = find({**CLOUD, "FUNCTION_TARGET": "x"}, platform="knative")

        assert "knative" == plugins.platform.name
        assert "" == caplog.text

    def test_it_names_a_known_platform(self, find, install, no_scan) -> None:
        """Then the marker's adapter is imported by name as ever."""
        install("serverless_flags_aws_lambda", doorbell("aws_lambda"))
        environ = {**CLOUD, "AWS_LAMBDA_FUNCTION_NAME": "x"}

        assert "aws_lambda" == find(environ, platform="aws_lambda").platform.name

    def test_local_is_the_platform_without_an_adapter(
        self, find, no_scan, caplog
    ) -> None:
        """``local`` needs nobody's answer, even where a marker is set."""
        plugins = find({"FUNCTION_TARGET": "x"}, platform="local")

        assert isinstance(plugins.platform, Local)
        assert "" == caplog.text

    def test_a_name_that_nobody_answers_to_is_told(self, find, caplog) -> None:
        """A typing error must not look like success."""
        plugins = find(platform="aws-lambda")

        assert isinstance(plugins.platform, Local)
        assert "platform='aws-lambda': no installed adapter recognises" in caplog.text


def test_without_anybody_it_is_local(find, caplog) -> None:
    """A laptop, a test or a job is no reason for a warning."""
    caplog.set_level(logging.DEBUG)
    plugins = find({})

    assert isinstance(plugins.platform, Local)
    assert "" == caplog.text


def test_the_environment_is_the_processs_own(monkeypatch, adapter) -> None:
    """Without another one given, it is ``os.environ``."""
    from serverless_flags._config import load_settings
    from serverless_flags._plugins import discover

    monkeypatch.setenv("CLOUD", "1")
    mine = adapter()

    assert mine.platform is discover(load_settings({"plugins": [mine]}, {})).platform
