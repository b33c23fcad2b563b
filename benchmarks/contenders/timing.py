"""Seconds per call, measured by pyperf in this process, on one pinned core."""

import contextlib
import json
import os

import pyperf

VALUES = os.environ.get("TIMING_VALUES", "5")
"""How often each call is timed; the result is the median."""
SHORTEST = os.environ.get("TIMING_SHORTEST", "0.01")
"""Shortest duration of one value in seconds; pyperf finds the number of loops."""


class Timing:
    """
    Checks the answers of calls, and times the calls.

    Prints its results as a contender does: one line, and one line of JSON.
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
        """Time ``timed``, which takes a number of loops and returns their seconds."""
        self.add(
            name, "seconds", self._bench(name, timed, self.calibrated(name, timed))
        )

    def calibrated(self, name, timed):
        """Return a number of loops that takes long enough to be timed."""
        options, values = self._options, self._options.values
        options.calibrate_loops, options.loops, options.values = True, 1, 1
        calibration = self._run(f"{name}, calibration", timed)
        options.calibrate_loops, options.values = False, values
        return calibration.get_runs()[0].warmups[-1][0]

    def _bench(self, name, timed, loops):
        self._options.loops = loops
        return self._run(name, timed).median()

    def _run(self, name, timed):
        with discarded_output():
            return self._runner.bench_time_func(name, timed)

    def add(self, name, unit, value):
        """Record a value that was measured in another way."""
        self._found[f"{name} [{unit}]"] = value

    def show(self):
        """Print the results and exit without waiting for other threads."""
        print("timed")
        print(json.dumps(self._found), flush=True)
        os._exit(0)


@contextlib.contextmanager
def discarded_output():
    """Discard printed output, line by line."""
    with open(os.devnull, "w", buffering=1) as null, contextlib.redirect_stdout(null):
        yield


def repeat(loops, function, arguments):
    """Return the seconds that this many calls take."""
    began = pyperf.perf_counter()
    for _ in range(loops):
        function(*arguments)
    return pyperf.perf_counter() - began
