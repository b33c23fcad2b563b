"""Results of hooks are checked at once, and wrong ones are logged once."""

from __future__ import annotations

import logging

import pytest

from serverless_flags import Invocation, Platform, hookimpl
from serverless_flags._plugins.dispatch import Plugins
from serverless_flags.platform import Local

CLOUD = {"CLOUD": "1"}
SESSION = "the session"


class TestDetectPlatform:
    @pytest.mark.parametrize(
        ("answer", "kind"),
        [
            (Platform, "the class Platform"),
            ("cloud", "a value of type str"),
            (True, "a value of type bool"),
            ({"name": "cloud"}, "a value of type dict"),
        ],
    )
    def test_a_wrong_platform_is_logged(self, find, caplog, answer, kind) -> None:
        """A platform carries facts, so no other value can replace one."""

        class Adapter:
            @hookimpl
            def detect_platform(self):
                return answer

        plugins = find(plugins=[Adapter()])

        assert isinstance(plugins.platform, Local)
        (record,) = caplog.records
        assert record.getMessage() == (
            f"plugin 'Adapter' returned {kind} from detect_platform, expected an"
            " instance of serverless_flags.Platform, or None; going on without it"
        )

    @pytest.mark.parametrize("answer", [None, False])
    def test_false_means_another_platform(self, find, caplog, answer) -> None:
        """``return "CLOUD" in environ and Cloud()`` may return False."""

        class Adapter:
            @hookimpl
            def detect_platform(self):
                return answer

        assert isinstance(find(plugins=[Adapter()]).platform, Local)
        assert "" == caplog.text


class TestFacts:
    @pytest.mark.parametrize(
        ("fact", "value", "default"),
        [
            ("name", 7, "Adapter"),
            ("name", "", "Adapter"),
            ("specificity", "high", 0),
            ("specificity", float("nan"), 0),
            ("function_name", b"checkout", None),
            ("will_fork", lambda _self: True, False),
            ("awaits_handlers", "no", True),
            ("shutdown_grace", "5", 1.0),
            ("shutdown_grace", -1, 1.0),
            ("shutdown_grace", float("inf"), 1.0),
            ("shutdown_grace", None, 1.0),
            ("passing_exceptions", "a.b.TimeoutError", ()),
            ("passing_exceptions", (TimeoutError,), ()),
        ],
    )
    def test_a_fact_of_a_wrong_type_is_replaced(
        self, find, adapter, caplog, fact, value, default
    ) -> None:
        """The default is used, and the platform stays selected."""
        mine = adapter()
        setattr(mine.platform, fact, value)
        plugins = find(CLOUD, plugins=[mine])

        assert mine.platform is plugins.platform
        assert default == getattr(plugins.platform, fact)
        (record,) = caplog.records
        assert f"plugin 'Adapter': {fact} of its platform is a " in record.getMessage()
        assert f"; going on with {default!r}" in record.getMessage()

    def test_a_fact_that_cannot_be_read_is_a_failure(
        self, find, adapter, caplog
    ) -> None:
        """The session continues without the platform."""

        class Failing(Platform):
            @property
            def specificity(self):
                raise OSError("the disk")

        mine = adapter()
        mine.platform = Failing()

        assert isinstance(find(CLOUD, plugins=[mine]).platform, Local)
        assert "plugin 'Adapter' failed in detect_platform" in caplog.text


class TestReadInvocation:
    @pytest.mark.parametrize(
        ("answer", "what"),
        [
            ({"userId": "7"}, "a value of type dict"),
            (7, "a value of type int"),
            (Invocation, "the class Invocation"),
            (
                Invocation(remaining_time=3.0),
                "an Invocation whose remaining_time is a value of type float",
            ),
            (
                Invocation(context="7"),
                "an Invocation whose context is a value of type str",
            ),
            (
                Invocation(context=None),
                "an Invocation whose context is a value of type NoneType",
            ),
        ],
    )
    def test_a_wrong_invocation_is_logged_once(
        self, calls, caplog, answer, what
    ) -> None:
        """The next plugin is asked instead."""
        theirs = Invocation(id="theirs")
        plugins, *_ = calls({"read_invocation": answer}, {"read_invocation": theirs})

        assert [theirs] * 3 == [plugins.read_invocation((), {}) for _ in range(3)]
        (record,) = caplog.records
        assert f"plugin 'cloud' returned {what}" in record.getMessage()
        assert "from read_invocation, expected an Invocation or" in record.getMessage()

    @pytest.mark.parametrize(
        "answer",
        [
            Invocation(id=7),
            Invocation(context={"userId": "7"}),
            Invocation(context=dict, remaining_time=lambda: 1.0),
            type("Mine", (Invocation,), {})("1"),
        ],
    )
    def test_an_invocation_is_accepted(self, calls, caplog, answer) -> None:
        """Whatever its id, and even of a subclass with further fields."""
        plugins, *_ = calls({"read_invocation": answer})

        assert [answer] * 2 == [plugins.read_invocation((), {}) for _ in range(2)]
        assert "" == caplog.text

    def test_the_results_of_each_plugin_are_checked(self, calls, caplog) -> None:
        """A valid result of one plugin does not skip the check of another."""
        mine = [Invocation(id="mine"), None]
        wrong = Invocation(context=7)

        class Cloud(Platform):
            name = "cloud"

            @hookimpl
            def read_invocation(self):
                return mine.pop(0)

        class Observer:
            @hookimpl
            def read_invocation(self):
                return wrong

        plugins = Plugins(Cloud(), [("observer", Observer())], lambda: SESSION)

        assert "mine" == plugins.read_invocation((), {}).id
        assert Invocation() == plugins.read_invocation((), {})
        assert "plugin 'observer' returned an Invocation whose context" in caplog.text


class TestConnectInstance:
    def test_a_failure_is_reported(self, calls) -> None:
        """The status names the plugin that failed; the log has the traceback."""
        plugins, *_ = calls({"connect_instance": RuntimeError("boom")})

        assert plugins.connect_instance("wrap") == (
            False,
            "plugin 'cloud' failed in connect_instance (RuntimeError)",
        )

    def test_a_missing_return_is_reported(self, calls, caplog) -> None:
        """At the first invocation, the last moment at which it could connect."""
        plugins, *_ = calls()
        at_wrap = plugins.connect_instance("wrap")
        connected, why = plugins.connect_instance("first_invocation")

        assert (False, "") == at_wrap
        assert not connected
        assert why == (
            "plugin 'cloud' returned nothing from connect_instance, expected True once"
            " its signals are connected, or a string that says why not"
        )
        assert "" == caplog.text

    @pytest.mark.parametrize("answer", [False, "too late", RuntimeError("boom")])
    def test_one_result_is_enough(self, calls, answer) -> None:
        """A plugin that returned a result at one moment may return None later."""
        answers = {"connect_instance": answer}
        plugins, *_ = calls(answers)
        plugins.connect_instance("wrap")
        answers.clear()

        assert (False, "") == plugins.connect_instance("first_invocation")

    def test_an_observer_need_not_return_anything(self) -> None:
        """It may implement the hook only to get the session."""

        class Observer:
            @hookimpl
            def connect_instance(self):
                return None

        plugins = Plugins(Local(), [("observer", Observer())], lambda: SESSION)

        assert (False, "") == plugins.connect_instance("first_invocation")

    @pytest.mark.parametrize("answer", [1, object, ["connected"]])
    def test_another_result_is_reported(self, calls, caplog, answer) -> None:
        """Only True promises that counts are sent at the end."""
        plugins, *_ = calls({"connect_instance": answer})
        connected, why = plugins.connect_instance("wrap")

        assert not connected
        assert why.startswith("plugin 'cloud' returned ")
        assert why.endswith("or a string that says why not")
        assert [why] == [record.getMessage() for record in caplog.records]

    def test_a_failure_after_a_success_does_not_matter(self, calls) -> None:
        """One connected plugin is enough."""
        plugins, *_ = calls(
            {"connect_instance": RuntimeError("boom")}, {"connect_instance": True}
        )

        assert (True, "") == plugins.connect_instance("wrap")


@pytest.mark.parametrize("answer", [1, "yes", object()])
def test_waiting_after_the_response_needs_a_bool(calls, caplog, answer) -> None:
    """Any other result is logged, and the invocation waits itself."""
    caplog.set_level(logging.INFO)
    plugins, *_ = calls({"wait_after_response": answer})
    taken = [plugins.wait_after_response(Invocation(), bool) for _ in range(2)]

    assert [False, False] == taken
    (record,) = caplog.records
    assert "from wait_after_response, expected a bool or None" in record.getMessage()
