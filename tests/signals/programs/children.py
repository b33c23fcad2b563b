"""The beginning of programs that create child processes."""

import multiprocessing
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor  # noqa: F401  reason: the programs use it

from serverless_flags import FlagSession, Platform, hookimpl


class Cloud(Platform):
    """An adapter that connects every process."""

    name = "cloud"

    @hookimpl
    def detect_platform(self):
        return self

    @hookimpl
    def connect_instance(self):
        return not self.ends_in_order

    @hookimpl
    def disconnect_instance(self, reason):
        print("disconnected", flush=True)  # noqa: T201  reason: the test reads it


class Abrupt(Cloud):
    """A platform whose instances end in order, and at once after a signal."""

    ends_in_order = True
    shutdown_grace = 0.0


PLATFORMS = {"local": [], "cloud": [Cloud()], "abrupt": [Abrupt()]}
flags = FlagSession(
    platform="local" if sys.argv[2] == "local" else None,
    client="lean",
    plugins=PLATFORMS[sys.argv[2]],
)


@flags.wrap
def work(number=0):
    return flags.is_enabled("simpleFlag")


def said(number=0):
    work()
    return flags.status.termination, flags.status.flush_interval


def say(number=0):
    print(*said(), flush=True)  # noqa: T201  reason: the test reads it


def grand(number=0):
    work()
    child = context.Process(target=work)
    child.start()
    child.join()


def wait_after_work(ready):
    work()
    ready.set()
    time.sleep(60)


def fork_and_say():
    work()
    if os.fork() == 0:
        say()
        os._exit(0)
    os.wait()


context = multiprocessing.get_context(sys.argv[1])
