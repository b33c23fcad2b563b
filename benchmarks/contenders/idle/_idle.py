"""What an instance holds while nothing happens; imports nothing it has not already."""

import gc
import os
import time

SETTLED = 0.15
"""Seconds after which nothing is under way any more."""


def show(enabled):
    """Print the answer, then memory and threads, and end."""
    assert enabled is True, enabled
    print(enabled, flush=True)
    time.sleep(SETTLED)
    gc.collect()
    with open("/proc/self/status") as file:
        fields = dict(line.split(":", 1) for line in file)
    memory = int(fields["VmRSS"].split()[0]) * 1024
    threads = len(os.listdir("/proc/self/task"))
    print(f'{{"memory [bytes]": {memory}, "threads [number]": {threads}}}', flush=True)
    os._exit(0)  # threads would hold the exit up
