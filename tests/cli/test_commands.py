"""The command line itself: its start without extras, and ``serve``."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import urllib.request
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from serverless_flags.cli import main
from serverless_flags.cli._commands import commands

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TOKEN = "default:development.some"
PROGRAM = [sys.executable, "-c", "from serverless_flags.cli import main; main()"]


@pytest.fixture(name="flags")
def _flags(tmp_path: Path) -> Path:
    flags = tmp_path / "flags.json"
    flags.write_text('{"simpleFlag": true}')
    return flags


@pytest.fixture(name="serving")
def _serving(flags: Path) -> Iterator[subprocess.Popen[str]]:
    # A shell that runs the tests in the background has SIGINT ignored for them.
    ignored = signal.signal(signal.SIGINT, signal.SIG_DFL)
    process = subprocess.Popen(
        [*PROGRAM, "serve", "--flags", str(flags), "--port", "0", "--token", TOKEN],
        stdout=subprocess.PIPE,
        text=True,
    )
    signal.signal(signal.SIGINT, ignored)
    with process:
        yield process
        process.kill()


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_serve(serving: subprocess.Popen[str], signum: signal.Signals) -> None:
    """`serve` prints the environment to copy, accepts its token and ends cleanly."""
    assert serving.stdout is not None
    lines = [serving.stdout.readline() for _ in range(4)]
    environ = dict(re.findall(r"^export (\w+)='(.*)'$", "".join(lines), re.MULTILINE))
    request = urllib.request.Request(
        environ["UNLEASH_URL"] + "/client/features",
        headers={"Authorization": environ["UNLEASH_API_TOKEN"]},
    )
    with urllib.request.urlopen(request) as answer:
        features = json.load(answer)["features"]
    serving.send_signal(signum)

    assert features[0]["name"] == "simpleFlag"
    assert environ["UNLEASH_API_TOKEN"] == TOKEN
    assert serving.wait(timeout=10) == 0


def test_serve_without_flags(tmp_path: Path) -> None:
    """For a missing flags file the message says what to write."""
    missing = tmp_path / "flags.json"
    result = CliRunner().invoke(commands, ["serve", "--flags", str(missing)])

    assert result.exit_code == 1
    assert 'write {"simpleFlag": true}' in result.output


@pytest.mark.parametrize("missing", ["click", "rich", "werkzeug"])
def test_without_the_extra(missing: str) -> None:
    """Without the extra, the command says what to install and exits with 1."""
    script = f"import sys; sys.modules[{missing!r}] = None; {PROGRAM[-1]}"
    run = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )

    assert run.returncode == 1
    assert f"needs {missing}: pip install 'serverless-flags[cli]'" in run.stderr


def test_other_import_errors_are_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    """For any other missing module, the extra is not blamed: the error is raised."""
    monkeypatch.delitem(sys.modules, "serverless_flags.cli._commands")
    monkeypatch.setitem(sys.modules, "serverless_flags.cli._demo", None)
    with pytest.raises(ModuleNotFoundError):
        main()


def test_main(monkeypatch: pytest.MonkeyPatch) -> None:
    """The entry point runs the commands."""
    monkeypatch.setattr(sys, "argv", ["serverless-flags", "--version"])
    with pytest.raises(SystemExit) as ended:
        main()

    assert ended.value.code == 0
