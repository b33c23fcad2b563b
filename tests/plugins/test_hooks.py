"""Each hook: who is called with which arguments, and the effect of the results."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

from serverless_flags import Invocation
from serverless_flags.hookspecs import HookSpecs
from serverless_flags.testing import Emulator, emulate

ROOT = Path(__file__).parents[2]
SESSION = "the session"


def test_every_hook_is_tested_and_documented(hooks) -> None:
    """Each hook has a test of its name, and a heading with its exact arguments."""
    tests = "".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    page = (ROOT / "docs" / "reference" / "hooks.md").read_text()
    headings = re.findall(r"^### `?(\w+\(.*\))`?$", page, re.MULTILINE)

    listed = [f"{name}({', '.join(arguments)})" for name, arguments in hooks.items()]

    assert listed == headings
    for name in hooks:
        assert f"def test_hook_{name}(" in tests


def test_a_hook_says_how_often_it_is_called(hooks) -> None:
    """The specification shows implementers how often each hook is called."""
    for name in hooks:
        assert "called" in inspect.getdoc(getattr(HookSpecs, name))


def test_hook_detect_platform(find, adapter) -> None:
    """Each plugin is asked once, with the environment, and returns the platform."""
    mine, other = adapter("mine", variable="MINE"), adapter("other", variable="OTHER")
    environ = {"MINE": "1"}
    plugins = find(environ, plugins=[mine, other])

    assert mine.platform is plugins.platform
    assert [environ] == mine.asked == other.asked


def test_hook_prepare_function(calls, caplog) -> None:
    """All plugins get the function and its wrapper; a TypeError propagates."""
    plugins, platform, observer = calls({"prepare_function": OSError("no")})
    plugins.prepare_function(len, print)

    assert (
        [("prepare_function", (len, print))] == platform.received == observer.received
    )
    assert "plugin 'cloud' failed in prepare_function" in caplog.text

    plugins, *_ = calls({"prepare_function": TypeError("turn it round")})
    with pytest.raises(TypeError, match="turn it round"):
        plugins.prepare_function(len, print)


@pytest.mark.parametrize(
    ("answers", "connected"),
    [
        ((None, None), (False, "")),
        ((True, None), (True, "")),
        ((False, True), (True, "")),
        ((False, False), (False, "")),
        (("too late", None), (False, "too late")),
    ],
)
def test_hook_connect_instance(calls, answers, connected) -> None:
    """All get the session, the platform and the moment; one True is enough."""
    plugins, platform, observer = calls(
        *({"connect_instance": answer} for answer in answers)
    )

    assert connected == plugins.connect_instance("wrap")
    assert [("connect_instance", (SESSION, platform, "wrap"))] == observer.received
    assert observer.received == platform.received


def test_hook_read_invocation(calls) -> None:
    """The platform is asked first; the first description is the invocation."""
    mine, theirs = Invocation(id="mine"), Invocation(id="theirs")
    plugins, platform, observer = calls(
        {"read_invocation": mine}, {"read_invocation": theirs}
    )

    assert mine is plugins.read_invocation((1,), {"a": 2})
    assert [("read_invocation", ((1,), {"a": 2}))] == platform.received
    assert [] == observer.received


@pytest.mark.parametrize("answer", [None, {"id": "no Invocation"}, OSError("no")])
def test_hook_read_invocation_without_a_result(calls, answer) -> None:
    """Without a description from the platform the next plugin is asked."""
    theirs = Invocation(id="theirs")
    plugins, *_ = calls({"read_invocation": answer}, {"read_invocation": theirs})
    assert theirs is plugins.read_invocation((), {})

    plugins, *_ = calls({"read_invocation": answer})

    assert Invocation() == plugins.read_invocation((), {})


@pytest.mark.parametrize("hook", ["begin_invocation", "end_invocation"])
def test_hooks_around_an_invocation(calls, hook) -> None:
    """All plugins are called for each invocation, the platform first."""
    invocation = Invocation(id="1")
    plugins, platform, observer = calls()
    getattr(plugins, hook)(invocation)

    assert [(hook, (invocation,))] == platform.received == observer.received


def test_hook_begin_invocation(calls, caplog) -> None:
    """A failure of the platform does not prevent the calls of the observers."""
    plugins, _, observer = calls({"begin_invocation": OSError("no")})
    plugins.begin_invocation(Invocation())

    assert 1 == len(observer.received)
    assert "plugin 'cloud' failed in begin_invocation" in caplog.text


@pytest.mark.parametrize(
    ("mine", "theirs", "taken"),
    [
        (True, None, True),
        (None, True, True),
        (False, None, False),
        (OSError("no"), None, False),
    ],
)
def test_hook_wait_after_response(calls, mine, theirs, taken) -> None:
    """One True is enough for the platform to do the waiting; a failure is not."""

    def wait(timeout: float) -> bool:
        return timeout > 0

    answers = [{"wait_after_response": answer} for answer in (mine, theirs)]
    plugins, platform, observer = calls(*answers)

    assert taken is plugins.wait_after_response(Invocation(), wait)
    assert [("wait_after_response", (Invocation(), wait))] == platform.received
    assert platform.received == observer.received


def test_hook_end_invocation(calls, caplog) -> None:
    """A failure of one observer affects no other plugin."""
    plugins, platform, _ = calls(None, {"end_invocation": OSError("no")})
    plugins.end_invocation(Invocation())

    assert 1 == len(platform.received)
    assert "plugin 'observer' failed in end_invocation" in caplog.text


def test_hook_after_refresh(calls) -> None:
    """All get the outcome of a refresh and how long it took."""
    plugins, platform, observer = calls()
    plugins.after_refresh("changed", 0.25)

    assert [("after_refresh", (SESSION, "changed", 0.25))] == observer.received
    assert observer.received == platform.received


def test_hook_after_flush(calls, caplog) -> None:
    """All get the outcome of a flush and how long it took, even if one fails."""
    plugins, platform, observer = calls({"after_flush": OSError("no")})
    plugins.after_flush("taken", 0.25)

    assert [("after_flush", (SESSION, "taken", 0.25))] == observer.received
    assert observer.received == platform.received
    assert "plugin 'cloud' failed in after_flush" in caplog.text


def test_hook_disconnect_instance(calls) -> None:
    """All are called after the session's last flush, with the reason."""
    plugins, platform, observer = calls()
    plugins.disconnect_instance("signal")

    assert [("disconnect_instance", (SESSION, "signal"))] == observer.received
    assert observer.received == platform.received


def test_hook_emulate(install, tmp_path) -> None:
    """The platform's adapter returns its emulator, with the requested options."""
    (tmp_path / "main.py").write_text("def handler(): ...")
    install(
        "fake_emulation",
        """
        from serverless_flags import hookimpl
        from serverless_flags.testing import Emulator

        class Fake(Emulator):
            runtime = "fake 1.0"
            output = ""

            def start(self): ...

            def terminate(self): ...

            def _request(self, *_request): ...

        @hookimpl
        def emulate(platform_name, target, environ, python, options):
            if platform_name == "cloud":
                return Fake(target, environ=environ, python=python, **options)
        """,
        entry_point="cloud",
    )
    target = f"{tmp_path / 'main.py'}:handler"
    with emulate("cloud", target, environ={"A": "1"}, python="python3") as emulator:
        assert isinstance(emulator, Emulator)
        assert ("handler", {"A": "1"}, "python3") == (
            emulator.function,
            emulator.environ,
            emulator.python,
        )
