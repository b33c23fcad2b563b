"""Seconds per call, by pyperf, in the process that is asked; one pinned core."""

import contextlib
import json
import os

import pyperf

VALUES = os.environ.get("TIMING_VALUES", "5")
"""How often each call is timed; the median counts."""
SHORTEST = os.environ.get("TIMING_SHORTEST", "0.01")
"""Seconds that one value takes at least: pyperf finds the number of loops."""


class Timing:
    """
    Proves answers, then times the calls that gave them.

    Shows what it has found as a contender does: a line, and a line of JSON.
    """

    def __init__(self):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
        self._runner = pyperf.Runner()
        self._options = self._runner.parse_args(
            [
                "--worker",
                "--loops=1",
                "--warmups=1",
                f"--values={VALUES}",
                f"--min-time={SHORTEST}",
            ]
        )
        self._found = {}

    def call(self, name, function, arguments, *, expected):
        """Time a call with positional arguments."""
        answer = function(*arguments)
        assert answer == expected, f"{name}: {answer!r}"
        self.loops(name, lambda loops: repeat(loops, function, arguments))
        assert function(*arguments) == expected, name

    def loops(self, name, timed):
        """Time what ``timed`` does so many times and returns the seconds of."""
        self.add(name, "seconds", self._bench(name, timed, self.enough(name, timed)))

    def enough(self, name, timed):
        """Return the number of loops that take long enough to be timed."""
        options, values = self._options, self._options.values
        options.calibrate_loops, options.loops, options.values = True, 1, 1
        calibration = self._run(f"{name}, calibration", timed)
        options.calibrate_loops, options.values = False, values
        return calibration.get_runs()[0].warmups[-1][0]

    def _bench(self, name, timed, loops):
        self._options.loops = loops
        return self._run(name, timed).median()

    def _run(self, name, timed):
        with nowhere():
            return self._runner.bench_time_func(name, timed)

    def add(self, name, unit, value):
        """Note what was found in another way."""
        self._found[f"{name} [{unit}]"] = value

    def show(self):
        """Print it and end, whatever threads there are."""
        print("timed")
        print(json.dumps(self._found), flush=True)
        os._exit(0)


@contextlib.contextmanager
def nowhere():
    """Send what is printed nowhere, line by line."""
    with open(os.devnull, "w", buffering=1) as null, contextlib.redirect_stdout(null):
        yield


def repeat(loops, function, arguments):
    """Return the seconds that so many calls take."""
    began = pyperf.perf_counter()
    for _ in range(loops):
        function(*arguments)
    return pyperf.perf_counter() - began
