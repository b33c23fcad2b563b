"""Run each example under its real runtime, flip the flag, and compare the counts."""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from serverless_flags.cli._azure_python import azure_python
from serverless_flags.cli._control import FLAG
from serverless_flags.exceptions import EmulatorError
from serverless_flags.testing import Answer, Counts, emulate

if TYPE_CHECKING:
    from serverless_flags.cli._control import Control
    from serverless_flags.testing import Emulator

EXAMPLES = {
    "aws_lambda": "handler.py:handler",
    "gcp_cloud_functions": "main.py:hello",
    "azure_functions": "function_app.py:hello",
}
"""The function in the example of each platform."""

SETTINGS = {
    # Each invocation asks the server, so the next one sees a flip ...
    "SERVERLESS_FLAGS_MAX_AGE": "0",
    "SERVERLESS_FLAGS_STALE_WHILE_REVALIDATE": "0",
    # ... even on a slow laptop or far from the server.
    "SERVERLESS_FLAGS_START_TIMEOUT": "10",
    "SERVERLESS_FLAGS_REFRESH_TIMEOUT": "10",
}


@dataclass(frozen=True, slots=True)
class Row:
    """The result of one example."""

    platform: str
    runtime: str = ""
    cold_start: float | None = None
    """Seconds from the start of the process to its first answer."""
    before: str = ""
    """The answer while the flag was on."""
    after: str = ""
    """The answer after the flag was turned off."""
    evaluations: int = 0
    """Number of evaluations: one for each answer."""
    received: Counts | None = None
    """The counts that the server received."""
    output: str = ""
    """Output of the instance."""
    failure: str | None = None
    """Why the example could not run; None if it did."""

    @property
    def app_name(self) -> str:
        """The application name under which the function sends its counts."""
        return f"serverless-flags-demo-{self.platform}"

    @property
    def problems(self) -> list[str]:
        """Each deviation from the expected result; the platform is its subject."""
        if self.failure is not None:
            return [self.failure]
        if self.received is None:
            return []
        found = [
            f"answered {answer!r} {when} the flip, not {expected_answer(enabled)!r}"
            for answer, when, enabled in (
                (self.before, "before", True),
                (self.after, "after", False),
            )
            if answer != expected_answer(enabled)
        ]
        if self.received != Counts(yes=1, no=1):
            found.append(
                "evaluated the flag once enabled and once disabled, but the server "
                f"received {self.received.yes} and {self.received.no}"
            )
        return found


def expected_answer(enabled: bool) -> str:  # noqa: FBT001  reason: the only argument, named by the function
    """Return the answer that an example must give."""
    return f"Feature flag '{FLAG}' is {'enabled' if enabled else 'disabled'}"


def run_demo(control: Control, directory: Path) -> list[Row]:
    """Run the examples one after the other, so that no cold start slows another."""
    rows = [run_example(control, platform, directory) for platform in EXAMPLES]
    return [
        replace(row, received=control.wait_for_counts(row.app_name, row.evaluations))
        if row.evaluations
        else row
        for row in rows
    ]


def find_examples(given: Path | None) -> Path:
    """Return the given examples directory, or that of the current checkout."""
    roots = (Path(__file__).parents[2], Path.cwd())
    for directory in [given] if given else [root / "examples" for root in roots]:
        if all((directory / platform).is_dir() for platform in EXAMPLES):
            return directory.resolve()
    message = (
        "the examples are not part of the installed package: "
        "run this in a checkout of serverless-flags, or pass --examples DIR"
    )
    raise click.ClickException(message)


def run_example(control: Control, platform: str, directory: Path) -> Row:
    """Run one example: call it, flip the flag, call it again, end the instance."""
    row = Row(platform)
    if platform == "aws_lambda" and sys.platform != "linux":
        return replace(row, runtime="awslambdaric has wheels for Linux only")
    python = sys.executable
    if platform == "azure_functions":
        python = azure_python(checkout=directory.parent)
    target = str(directory / platform / EXAMPLES[platform])
    environ = {**control.environ, **SETTINGS, "UNLEASH_APP_NAME": row.app_name}
    control.set_flag(enabled=True)
    try:
        with emulate(platform, target, environ=environ, python=python) as instance:
            return _call_and_flip(control, row, instance)
    except EmulatorError as error:
        return replace(row, failure=str(error))


def _call_and_flip(control: Control, row: Row, instance: Emulator) -> Row:
    answers = [instance.request()]
    control.set_flag(enabled=False)
    answers.append(instance.request())
    instance.terminate()
    return replace(
        row,
        runtime=instance.runtime,
        cold_start=instance.cold_start,
        before=_message(answers[0]),
        after=_message(answers[1]),
        evaluations=len(answers),
        output=instance.output,
    )


def _message(answer: Answer) -> str:
    try:
        return str(answer.json()["message"])
    except (ValueError, KeyError, TypeError):
        return f"{answer.status} {answer.body[:200]}"
