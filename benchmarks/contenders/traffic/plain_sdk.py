"""UnleashClient with its defaults; its two jobs run as its scheduler would run them."""

import os

from _wire import FLAGS, USER, CountingProxy, hour
from UnleashClient import UnleashClient

POLL, SEND = 15, 60
"""The client's own intervals in seconds."""


class _Job:
    """What a scheduler's ``add_job`` returns."""

    def __init__(self, func, args, kwargs):
        self._func, self._args, self._kwargs = func, args or (), kwargs or {}

    def run(self):
        self._func(*self._args, **self._kwargs)

    def remove(self):
        """Do nothing: no job runs by itself."""


class _Scheduler:
    """APScheduler without a thread."""

    state = 0

    def __init__(self):
        self.jobs = []

    def add_job(self, func, trigger=None, args=None, kwargs=None, **_):  # noqa: ARG002  reason: APScheduler's signature
        self.jobs.append(_Job(func, args, kwargs))
        return self.jobs[-1]

    def start(self, *_, **__):
        self.state = 1

    def remove_all_jobs(self, *_):
        self.jobs.clear()

    def shutdown(self, wait=True):  # noqa: ARG002, FBT002  reason: APScheduler's signature
        self.state = 0


seconds = 0.0
wire = CountingProxy(os.environ["UNLEASH_URL"], lambda: seconds)
scheduler = _Scheduler()
client = UnleashClient(
    url=wire.url,
    app_name="traffic",
    custom_headers={"Authorization": os.environ["UNLEASH_API_TOKEN"]},
    cache_directory=f"{os.environ['FOLDER']}/{os.getpid()}",
    scheduler=scheduler,
    scheduler_executor="inline",
)


def evaluate():
    assert all(client.is_enabled(name, USER) for name in FLAGS)


def start():
    client.initialize_client()
    assert scheduler.jobs[1] is client.metric_job
    evaluate()


def call(second):
    global seconds  # noqa: PLW0603  reason: the simulated clock
    while (due := (seconds // POLL + 1) * POLL) <= second:
        seconds = due
        poll, send = scheduler.jobs
        poll.run()
        if due % SEND == 0:
            send.run()
    seconds = max(seconds, second - 1e-9)
    evaluate()


hour(wire, start, call, client.destroy)
