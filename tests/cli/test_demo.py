"""The demo with an emulator in this process: its table, and how it reports problems."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner, Result

from serverless_flags.cli import _azure_python, _control, _demo, _report
from serverless_flags.cli._commands import commands

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Adapter, EntryPoints

ENABLED = "Feature flag 'simpleFlag' is enabled"
DISABLED = "Feature flag 'simpleFlag' is disabled"


@pytest.fixture(autouse=True)
def _here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pretend to run on Linux, with a Python that Azure's runtime supports."""
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(_azure_python, "NEEDED", (3, 0))
    monkeypatch.setattr(_control, "COUNTS_TIMEOUT", 0)


def run(*arguments: object) -> Result:
    """Run ``serverless-flags demo``."""
    return CliRunner().invoke(commands, ["demo", *map(str, arguments)])


def row(result: Result, platform: str) -> list[str]:
    """Return the cells of the platform's row."""
    lines = [line for line in result.output.splitlines() if platform in line]
    return [cell.strip() for cell in lines[0].strip("│").split("│")]


@pytest.mark.usefixtures("adapter")
@pytest.mark.parametrize(
    "platform", ["aws_lambda", "gcp_cloud_functions", "azure_functions"]
)
def test_table(examples: Path, platform: str) -> None:
    """The row of each platform has both answers, and as many counts as evaluations."""
    result = run("--examples", examples)
    name, runtime, cold_start, *rest = row(result, platform)

    assert result.exit_code == 0
    assert (name, runtime) == (platform, "in-process 1.0")
    assert int(cold_start) >= 0
    assert rest == [ENABLED, DISABLED, "2", "2"]


@pytest.mark.usefixtures("adapter")
def test_narrow_terminal(examples: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At 80 columns each value has its own line, and none is cut or wrapped."""
    monkeypatch.setattr(_report, "LOG_WIDTH", 80)
    lines = run("--examples", examples).output.splitlines()

    assert max(map(len, lines)) <= 80
    assert 3 == lines.count(f"before the flip   {ENABLED}")
    assert 3 == lines.count(f"after the flip    {DISABLED}")
    assert 3 == lines.count("metrics received  2")


@pytest.mark.usefixtures("adapter")
def test_wrong_answer(examples: Path) -> None:
    """A wrong answer makes the demo exit with 1, and the output names the answer."""
    path = examples / "aws_lambda" / "handler.py"
    path.write_text(path.read_text().replace("disabled", "off"))
    result = run("--examples", examples)
    problem = (
        f'aws_lambda answered "{DISABLED[:-8]}off" after the flip, not "{DISABLED}"'
    )

    assert result.exit_code == 1
    assert problem in result.output
    assert "gcp_cloud_functions answered" not in result.output


@pytest.mark.usefixtures("adapter")
def test_answer_without_a_message(examples: Path) -> None:
    """An answer that is not the examples' JSON is shown unchanged."""
    path = examples / "aws_lambda" / "handler.py"
    path.write_text("def handler(is_enabled): return is_enabled('simpleFlag')")

    assert "aws_lambda answered '200 true' before" in run("--examples", examples).output


@pytest.mark.usefixtures("adapter")
def test_missing_count(examples: Path) -> None:
    """A count that the server did not receive makes the demo exit with 1."""
    path = examples / "gcp_cloud_functions" / "main.py"
    path.write_text(
        "answers = ['enabled', 'disabled']\n"
        "def hello(is_enabled):\n"
        "    return {'message': f\"Feature flag 'simpleFlag' is {answers.pop(0)}\"}\n"
    )
    result = run("--examples", examples)

    assert result.exit_code == 1
    assert "once disabled, but the server received 0 and 0" in result.output


@pytest.mark.usefixtures("adapter")
def test_output_of_an_instance_with_a_problem(examples: Path) -> None:
    """The output of an instance is shown if its row has a problem."""
    (examples / "aws_lambda" / "handler.py").write_text("def handler(_): return 1")

    assert "printed:\nit printed this" in run("--examples", examples).output


@pytest.mark.usefixtures("adapter")
def test_example_that_does_not_start(examples: Path) -> None:
    """An instance that does not start is a problem of its own row only."""
    (examples / "aws_lambda" / "handler.py").write_text("")
    result = run("--examples", examples)

    assert result.exit_code == 1
    assert "aws_lambda no function 'handler'" in result.output
    assert row(result, "azure_functions")[-1] == "2"


def test_adapter_that_is_not_installed(
    entry_points: EntryPoints, examples: Path
) -> None:
    """For a platform without its adapter, the output names the package to install."""
    del entry_points
    result = run("--examples", examples)

    assert result.exit_code == 1
    assert "pip install 'serverless-flags-aws-lambda[emulator]'" in result.output


@pytest.mark.usefixtures("adapter")
def test_lambda_runs_on_linux_only(
    examples: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On other systems the row of AWS Lambda says so, and the demo exits with 0."""
    monkeypatch.setattr(sys, "platform", "darwin")
    result = run("--examples", examples)

    assert result.exit_code == 0
    assert row(result, "aws_lambda")[1] == "awslambdaric has wheels for Linux only"


def test_azure_runs_in_another_python(
    adapter: Adapter, examples: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only the function app runs in the Python that has Azure's runtime."""
    monkeypatch.setattr(_demo, "azure_python", "python of {checkout}".format)
    run("--examples", examples)

    assert adapter.pythons == {
        "aws_lambda": sys.executable,
        "gcp_cloud_functions": sys.executable,
        "azure_functions": f"python of {examples.parent}",
    }


@pytest.mark.usefixtures("adapter")
def test_examples_of_the_working_directory(
    examples: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The demo of an installed wheel finds the examples of the current checkout."""
    monkeypatch.setattr(_demo, "__file__", str(tmp_path / "a" / "b" / "c.py"))
    monkeypatch.chdir(examples.parent)

    assert run().exit_code == 0


def test_no_examples(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without the examples, the error says where to find them."""
    monkeypatch.setattr(_demo, "__file__", str(tmp_path / "a" / "b" / "c.py"))
    monkeypatch.chdir(tmp_path)
    found_nowhere, not_there = run(), run("--examples", tmp_path)

    assert found_nowhere.exit_code == not_there.exit_code == 1
    assert "pass --examples DIR" in found_nowhere.output
    assert "pass --examples DIR" in not_there.output


def test_url_needs_the_admin_token() -> None:
    """For a real server the demo needs an admin token."""
    result = run("--url", "http://127.0.0.1:1")

    assert result.exit_code == 2
    assert "--url needs --admin-token" in result.output
