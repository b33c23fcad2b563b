"""How an emulator is found among the installed adapters."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

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
    """Where no adapter answers, the error says which package to install."""
    del adapter
    with pytest.raises(EmulatorError) as caught:
        emulate("my_cloud", target)

    assert "pip install 'serverless-flags-my-cloud[emulator]'" in str(caught.value)


def test_broken_adapter_is_left_out(
    entry_points: EntryPoints,
    adapter: Adapter,
    target: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """An adapter that cannot be imported is named in a warning and stops nobody."""
    del adapter
    entry_points.install("broken", ImportError("no such thing"))
    with emulate("aws_lambda", target):
        assert "'broken' cannot be loaded" in caplog.text
