"""The injector finds the mistakes of incorrect sessions, and none in a correct one."""

from __future__ import annotations

import os

import pytest

SEED = os.environ.get("INJECTOR_SEED", "2026")
MODE = "lean/local/def/0/first"

HEAD = """
import contextvars
import threading
from serverless_flags import FlagSession

variable = contextvars.ContextVar("serverless_flags_test", default=None)

class Session(FlagSession):
    begun = prepared = False
"""

SWALLOWS = """
    def wrap(self, func):
        inner = super().wrap(func)

        def call(*given):
            try:
                return inner(*given)
            except Exception:
                return None

        return call
"""
TRANSLATES = """
    def wrap(self, func):
        inner = super().wrap(func)

        def call(*given):
            try:
                return inner(*given)
            except BaseException as error:
                raise RuntimeError("from the session") from error

        return call
"""
STAYS_CURRENT = """
    def wrap(self, func):
        inner = super().wrap(func)

        def call(*given):
            variable.set(given)
            answers = inner(*given)
            variable.set(None)
            return answers

        return call
"""
STAYS_LOCKED = """
    def wrap(self, func):
        inner, self.lock = super().wrap(func), threading.Lock()

        def call(*given):
            taken = self.lock.acquire(timeout=0.1)
            answers = inner(*given)
            if taken:
                self.lock.release()
            return answers

        return call
"""
LATCHES = """
    def wrap(self, func):
        inner = super().wrap(func)

        def call(*given):
            if not self.begun:
                self.begun = True
                self.prepare()
            answers = inner(*given)
            if self.prepared:
                return answers
            return dict.fromkeys(answers, False)

        return call

    def prepare(self):
        self.prepared = True
"""
COUNTS_TWICE = """
    def is_enabled(self, *given, **more):
        try:
            answer = super().is_enabled(*given, **more)
            self.last = answer
        except Exception:
            answer = super().is_enabled(*given, **more)
        return answer
"""
COUNTS_NOT = """
    def is_enabled(self, name, *given, **more):
        try:
            return super().is_enabled(name, *given, **more)
        except Exception:
            return name == "alice"
"""
CORRECT = """
    def wrap(self, func):
        inner, self.lock = super().wrap(func), threading.Lock()

        def call(*given):
            with self.lock:
                try:
                    variable.set(given)
                    answers = inner(*given)
                    variable.set(None)
                    return answers
                except BaseException:
                    variable.set(None)
                    raise

        return call
"""


@pytest.mark.parametrize(
    ("source", "kind", "line"),
    [
        pytest.param(SWALLOWS, "answers", "return inner(*given)", id="swallows"),
        pytest.param(TRANSLATES, "exception", "return inner(*given)", id="translates"),
        pytest.param(STAYS_CURRENT, "scope", "answers = inner(", id="stays current"),
        pytest.param(STAYS_LOCKED, "remaining", "answers = inner(", id="stays locked"),
        pytest.param(LATCHES, "stale", "self.prepare()", id="latches"),
        pytest.param(COUNTS_TWICE, "twice", "self.last = answer", id="counts twice"),
        pytest.param(COUNTS_NOT, "lost", "return super()", id="counts not"),
    ],
)
def test_an_incorrect_session(inject, tmp_path, source, kind, line):
    """For an incorrect session it exits with 1 and names the line and the violation."""
    path = tmp_path / "session.py"
    path.write_text(HEAD + source)

    ran = inject("--session", path, "--mode", MODE)
    found = [text for text in ran.stdout.splitlines() if text.startswith(f"    {kind}")]

    assert 1 == ran.returncode, ran.stdout + ran.stderr
    assert [] != [text for text in found if line in text], ran.stdout


def test_a_correct_session(inject, tmp_path):
    """A session that releases everything on every path has no violation."""
    path = tmp_path / "session.py"
    path.write_text(HEAD + CORRECT)

    ran = inject("--session", path, "--mode", MODE)

    assert 0 == ran.returncode, ran.stdout + ran.stderr
    assert ", 0 violations," in ran.stdout


def test_one_place_is_tried_alone(inject, tmp_path):
    """``--place`` interrupts one line only, once with each kind of exception."""
    path = tmp_path / "session.py"
    path.write_text(HEAD + SWALLOWS)
    number = path.read_text().splitlines().index("                return inner(*given)")

    ran = inject(
        "--session", path, "--mode", MODE, "--place", f"session.py:{number + 1}"
    )

    assert "1 places,    5 trials" in ran.stdout  # three recordings, two exceptions


@pytest.mark.parametrize("client", ["lean", "unleash"])
def test_a_sample_of_each_mode(inject, client):
    """At a sample of the lines of each mode, an exception breaks no promise."""
    ran = inject("--client", client, "--sample", 4, "--seed", SEED, "--verbose")

    assert 0 == ran.returncode, ran.stdout + ran.stderr
