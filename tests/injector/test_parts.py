"""The parts of the injector: tracing, exempt lines, forks and the watchdog."""

from __future__ import annotations

import linecache
import sys
import time
from textwrap import dedent

import pytest
from exempt import DELETED, ENTERED, HEADER, TRY, WITH, exempt_lines, is_guarded
from forked import Died, in_fork
from tracing import Injector, Place, Recorder
from watchdog import Hung, Watchdog

FORKS = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
"""Other tests may have left threads, of which a fork needs none."""


@pytest.fixture(name="load")
def _load(tmp_path):
    """Load the functions of a source text; return them and the path."""

    def load(source: str):
        path = tmp_path / "traced.py"
        path.write_text(dedent(source))
        names: dict = {}
        exec(compile(path.read_text(), str(path), "exec"), names)
        linecache.checkcache()
        return names, str(path)

    return load


def test_lines_are_counted(load):
    """A recorder counts the lines of the package, and no others."""
    names, path = load("""
        def work():
            for _ in range(2):
                sorted([])
    """)

    with Recorder([path]) as recorder:
        names["work"]()
    counts = {place.line: count for place, count in recorder.seen.items()}

    assert {3: 3, 4: 2} == counts


def test_an_exception_is_raised_once_before_a_line(load):
    """An injector raises at the given occurrence, and only once."""
    names, path = load("""
        def work(done):
            for number in range(3):
                done.append(number)
    """)
    before, done = sys.gettrace(), []
    injector = Injector([path], Place(path, 4, "work"), 2, KeyError)

    with pytest.raises(KeyError), injector:
        names["work"](done)
    with injector:
        names["work"](done)

    assert injector.fired
    assert before is sys.gettrace()
    assert [0, 0, 1, 2] == done


def test_exempt_lines(load):
    """The lines of `try`, `with` and `def`, `__enter__`'s return, and `__del__`."""
    _, path = load("""
        class Scope:
            def __enter__(self):
                self.a = 1
                try:
                    with open(
                        "a",
                    ):
                        return self.a
                finally:
                    self.a = 2
                return self

            def __del__(self):
                self.a = 3
    """)

    assert {
        3: HEADER,
        5: TRY,
        6: WITH,
        7: WITH,
        8: WITH,
        12: ENTERED,
        14: DELETED,
        15: DELETED,
    } == exempt_lines(path)


def test_a_guarded_call_is_known_by_its_handler(load):
    """A call is guarded below a ``try`` whose handler calls ``passes``."""
    names, _ = load("""
        def passes(error):
            return True

        def guarded(call):
            try:
                return call()
            except Exception as error:
                if passes(error):
                    raise

        def bare(call):
            try:
                return call()
            except Exception:
                raise
    """)

    def call():
        return is_guarded(sys._getframe())

    assert names["guarded"](call)
    assert not names["bare"](call)


@FORKS
def test_a_fork_returns_its_result():
    """A fork returns its result, and changes nothing in this process."""
    box = []

    def work():
        box.append(1)
        return box

    assert [1] == in_fork(work, 30)
    assert [] == box


@FORKS
def test_a_fork_that_hangs_is_killed():
    """A fork that gives no result in time is killed, and `Died` is raised."""
    with pytest.raises(Died, match=r"no result within 0\.05 s"):
        in_fork(lambda: time.sleep(30), 0.05)


def test_the_watchdog_interrupts():
    """The watchdog raises `Hung` into code that takes too long."""
    with pytest.raises(Hung, match="not in the package"), Watchdog(0.02):
        time.sleep(30)
