"""The parts of the injector: tracing, exempt lines, copies and the watchdog."""

from __future__ import annotations

import linecache
import sys
import time
from textwrap import dedent

import pytest
from exempt import DELETED, ENTERED, HEADER, TRY, WITH, exempt_lines, is_guarded
from forked import Died, in_copy
from tracing import Injector, Place, Recorder
from watchdog import Hung, Watchdog

FORKS = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
"""Other tests may have left a server's thread, which a copy does without."""


@pytest.fixture(name="load")
def _load(tmp_path):
    """Return the functions of a source text, and where it is."""

    def load(source: str):
        path = tmp_path / "traced.py"
        path.write_text(dedent(source))
        names: dict = {}
        exec(compile(path.read_text(), str(path), "exec"), names)
        linecache.checkcache()
        return names, str(path)

    return load


def test_lines_are_counted(load):
    """A recorder counts each line of the package, and none of others."""
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
    """An injector raises at the occurrence that was asked for, and never again."""
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


def test_lines_that_nothing_can_guard(load):
    """`try`, `with` and `def` as such, the return of `__enter__`, all of `__del__`."""
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
    """What runs below a ``try`` whose handler asks ``passes`` is guarded."""
    names, _ = load("""
        def passes(error):
            return True

        def guarded(look):
            try:
                return look()
            except Exception as error:
                if passes(error):
                    raise

        def bare(look):
            try:
                return look()
            except Exception:
                raise
    """)

    def look():
        return is_guarded(sys._getframe())

    assert names["guarded"](look)
    assert not names["bare"](look)


@FORKS
def test_a_copy_returns_its_result():
    """What a copy changes stays there; its result comes back."""
    box = []

    def work():
        box.append(1)
        return box

    assert [1] == in_copy(work, 30)
    assert [] == box


@FORKS
def test_a_copy_that_hangs_is_ended():
    """A copy without a result in time is an exception."""
    with pytest.raises(Died, match=r"no result within 0\.05 s"):
        in_copy(lambda: time.sleep(30), 0.05)


def test_what_hangs_is_interrupted():
    """The watchdog raises into what takes too long."""
    with pytest.raises(Hung, match="not in the package"), Watchdog(0.02):
        time.sleep(30)
