"""UnleashClient with its defaults; another thread runs the job that polls."""

import os

from _refresh import FLAGS, USER, show
from UnleashClient import UnleashClient

STATUS = {"changed": 200, "unchanged": 304}[os.environ["MEASURES"]]
statuses = []


class _Job:
    """What a scheduler's ``add_job`` returns."""

    def __init__(self, func, args, kwargs):
        self._func, self._args, self._kwargs = func, args or (), kwargs or {}

    def run(self):
        self._func(*self._args, **self._kwargs)


class _Scheduler:
    """APScheduler without a thread: `refresh` runs the job."""

    state = 0

    def __init__(self):
        self.jobs = []

    def add_job(self, func, trigger=None, args=None, kwargs=None, **_):  # noqa: ARG002  reason: APScheduler's signature
        self.jobs.append(_Job(func, args, kwargs))
        return self.jobs[-1]

    def start(self, *_, **__):
        self.state = 1


def note(response, *_, **__):
    statuses.append(response.status_code)


scheduler = _Scheduler()
client = UnleashClient(
    url=os.environ["UNLEASH_URL"],
    app_name="refresh",
    custom_headers={"Authorization": os.environ["UNLEASH_API_TOKEN"]},
    custom_options={"hooks": {"response": note}},
    cache_directory=f"{os.environ['FOLDER']}/{os.getpid()}",
    scheduler=scheduler,
    scheduler_executor="inline",
)


def invoke(event):
    if event is not None:
        event()
    assert [client.is_enabled(name, USER) for name in FLAGS] == [True, True, True]


def refresh():
    scheduler.jobs[0].run()
    assert statuses[-1] == STATUS, statuses


client.initialize_client()
invoke(None)
show(invoke, refresh)
