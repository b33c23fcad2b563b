"""How `emulate` finds an emulator among the installed adapters."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from serverless_flags import hookimpl
from serverless_flags.exceptions import EmulatorError
from serverless_flags.testing import emulate

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Adapter, EntryPoints


@pytest.fixture(name="target")
def _target(tmp_path: Path) -> str:
    module = tmp_path / "main.py"
    module.write_text("def hello(): ...")
    return f"{module}:hello"


def test_the_adapter_of_the_platform_answers(adapter: Adapter, target: str) -> None:
    """The emulator gets the target, the environment, a Python and the options."""
    with emulate(
        "aws_lambda", target, environ={"NAME": "value"}, memory="128"
    ) as emulator:
        assert emulator.function == "hello"
        assert emulator.environ == {"NAME": "value"}
        assert emulator.python == sys.executable
        assert adapter.options == {"memory": "128"}


def test_unknown_platform_names_the_package(adapter: Adapter, target: str) -> None:
    """If no adapter emulates the platform, the error says which package to install."""
    del adapter
    with pytest.raises(EmulatorError) as caught:
        emulate("my_cloud", target)

    assert "pip install 'serverless-flags-my-cloud[emulator]'" in str(caught.value)


def test_the_error_lists_the_installed_platforms(
    entry_points: EntryPoints, new_adapter: type[Adapter], target: str
) -> None:
    """It proposes the nearest name, then lists all platforms that can be emulated."""
    entry_points.install("aws_lambda", new_adapter("aws_lambda"))
    entry_points.install("knative", new_adapter("knative"))
    entry_points.install("observer", object())
    with pytest.raises(EmulatorError) as caught:
        emulate("aws-lambda", target)

    assert str(caught.value) == (
        "no installed adapter emulates 'aws-lambda', did you mean 'aws_lambda'? The"
        " installed ones emulate aws_lambda, knative."
    )


def test_the_error_proposes_a_platform_that_is_not_installed(
    entry_points: EntryPoints, target: str
) -> None:
    """For a misspelt name it also names the package of the right platform."""
    del entry_points
    with pytest.raises(EmulatorError) as caught:
        emulate("azure-function", target)

    assert "did you mean 'azure_functions'?" in str(caught.value)
    assert "'serverless-flags-azure-functions[emulator]'" in str(caught.value)


def test_a_result_that_is_no_emulator_is_refused(
    entry_points: EntryPoints, target: str
) -> None:
    """The error names the adapter and the type of its result."""

    class Vague:
        @hookimpl
        def emulate(self) -> str:
            return "an emulator"

    entry_points.install("vague", Vague())
    with pytest.raises(EmulatorError, match="'vague' returned a str from emulate, exp"):
        emulate("aws_lambda", target)


@pytest.mark.usefixtures("adapter")
class TestTarget:
    @pytest.mark.parametrize("target", ["main.py", "main.py:", ":hello", ""])
    def test_a_target_has_a_file_and_a_function(self, target: str) -> None:
        """Otherwise the message shows the expected form."""
        with pytest.raises(EmulatorError) as caught:
            emulate("aws_lambda", target)

        assert f"{target!r} is not path/to/module.py:function" == str(caught.value)

    def test_a_missing_file(self, tmp_path: Path) -> None:
        """The message has the path that does not exist."""
        path = tmp_path / "nofile.py"
        with pytest.raises(EmulatorError) as caught:
            emulate("aws_lambda", f"{path}:x")

        assert f"'{path}:x': there is no file '{path}'" == str(caught.value)


@pytest.mark.parametrize("body", ["gr\xfcn", "gr\xfcn".encode()])
def test_a_body_is_text_or_bytes(adapter: Adapter, target: str, body) -> None:
    """A body of type `str` is sent as UTF-8, on each platform."""
    del adapter
    sent = []
    with emulate("aws_lambda", target) as emulator:
        emulator._request = lambda *request: (sent.append(request), (200, ""))[1]
        emulator.request("/", method="POST", body=body)

    assert [("POST", "/", {}, b"gr\xc3\xbcn")] == sent


def test_a_broken_adapter_is_skipped(
    entry_points: EntryPoints,
    adapter: Adapter,
    target: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """An adapter that cannot be imported is skipped, with a warning that names it."""
    del adapter
    entry_points.install("broken", ImportError("no such thing"))
    with emulate("aws_lambda", target):
        assert "'broken' cannot be loaded" in caplog.text
