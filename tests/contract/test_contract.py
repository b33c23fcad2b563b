"""A correct adapter passes the contract, and an incorrect one fails it."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from serverless_flags import EmulatorError, MissingDependencyError, testing
from serverless_flags.testing import AdapterContract, ContainerEmulator

if TYPE_CHECKING:
    from collections.abc import Mapping

FUNCTION = Path(__file__).parent / "cloud" / "function.py"


class Container(ContainerEmulator):
    def command(self) -> list[str]:
        return [self.python, str(self.module_path)]

    def variables(self) -> dict[str, str]:
        return {"SMALL_CLOUD": "1"}


class SmallCloudContract(AdapterContract):
    platform = "small_cloud"
    environ = {"SMALL_CLOUD": "1"}
    target = f"{FUNCTION}:function"

    def emulator(self, environ: Mapping[str, str]) -> ContainerEmulator:
        return Container(self.target, environ=environ)


@pytest.mark.usefixtures("cloud")
class TestContract(SmallCloudContract):
    """A correct adapter passes all tests of the contract."""


@pytest.mark.parametrize(
    ("breach", "test", "message"),
    [
        ("sigterm", "sigterm_loses_no_count", r"counts: expected .*5"),
        ("greedy", "no_other_environment_is_recognised", "an empty environment"),
        ("forgets", "the_instance_elects_the_adapter", "returned nothing from conn"),
        ("vague", "the_instance_elects_the_adapter", "dict from read_invocation"),
        ("swallow", "an_exception_passes", "the status is of a failure"),
    ],
)
def test_a_breach_is_noticed(cloud, monkeypatch, breach, test, message):
    """A breach fails the test of this promise, with a message that names it."""
    monkeypatch.setenv("SMALL_CLOUD_BREACH", breach)

    with pytest.raises(AssertionError, match=message):
        getattr(SmallCloudContract(), f"test_{test}")()


def test_a_missing_dependency_is_named_with_its_extra(monkeypatch, tmp_path):
    """Without a package that only the contract needs, the error names its extra."""
    monkeypatch.setitem(sys.modules, "trustme", None)
    with pytest.raises(MissingDependencyError) as caught:
        SmallCloudContract().test_a_server_200_ms_away_over_tls(tmp_path)

    assert str(caught.value) == (
        "the contract needs trustme: pip install 'serverless-flags[contract]'"
    )


@pytest.mark.parametrize(
    ("name", "cure"),
    [("AdapterContract", "contract]"), ("FlagServer", "cli]"), ("Recorded", "cli]")],
)
def test_without_werkzeug_the_extra_is_named(monkeypatch, name, cure):
    """Without werkzeug, each tool's error names the extra that has all it needs."""
    for module in ("contract", "flag_server", "_client_api", "_serving", "_trial"):
        monkeypatch.delitem(
            sys.modules, f"serverless_flags.testing.{module}", raising=False
        )
    monkeypatch.delitem(sys.modules, "serverless_flags.testing.faults", raising=False)
    monkeypatch.setitem(sys.modules, "werkzeug", None)

    with pytest.raises(MissingDependencyError, match=re.escape(cure)):
        getattr(testing, name)


def test_a_function_that_fails_shows_what_the_instance_printed(cloud):
    """The error of a failed invocation has the output of the instance."""
    with (
        SmallCloudContract().trial() as on,
        pytest.raises(AssertionError, match="ContractError"),
    ):
        on.ask("raise")


def test_a_container_that_does_not_listen(cloud):
    """The error of a container that does not listen has its output."""

    class Broken(Container):
        def command(self) -> list[str]:
            return [self.python, "-c", "raise LookupError('no such thing')"]

    with (
        pytest.raises(EmulatorError, match="no such thing"),
        Broken(f"{FUNCTION}:function"),
    ):
        pass
