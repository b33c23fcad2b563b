"""A wrapped function; another thread refreshes its session."""

import os

from _refresh import FLAGS, USER, show

from serverless_flags import FlagSession, hookimpl

outcomes = []


class _Observer:
    """Records the outcomes of refreshes."""

    @hookimpl
    def after_refresh(self, outcome):
        outcomes.append(outcome)


flags = FlagSession(max_age=1e6, start_timeout=20.0, plugins=[_Observer()])


@flags.wrap
def handler(event):
    if event is not None:
        event()
    return [flags.is_enabled(name, USER) for name in FLAGS]


def invoke(event):
    assert handler(event) == [True, True, True]


def refresh():
    assert flags.refresh(timeout=60.0), flags.status
    assert outcomes[-1] == os.environ["MEASURES"], outcomes


invoke(None)
show(invoke, refresh)
