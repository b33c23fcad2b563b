"""Memory and threads of an idle instance, measured without importing anything new."""

import gc
import os
import time

SETTLED = 0.15
"""Seconds after which all background work has ended."""


def show(enabled):
    """Print the answer, then memory and threads, and exit."""
    assert enabled is True, enabled
    print(enabled, flush=True)
    time.sleep(SETTLED)
    gc.collect()
    with open("/proc/self/status") as file:
        fields = dict(line.split(":", 1) for line in file)
    memory = int(fields["VmRSS"].split()[0]) * 1024
    threads = len(os.listdir("/proc/self/task"))
    print(f'{{"memory [bytes]": {memory}, "threads [number]": {threads}}}', flush=True)
    os._exit(0)  # without waiting for threads
