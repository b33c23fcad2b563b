"""Instances that get no SIGTERM, under the real awslambdaric."""

from __future__ import annotations

import socket

import pytest

from serverless_flags.testing import Counts

TOO_LATE = """
def answer(event, context):
    return [flags.is_enabled("simpleFlag"), flags.status.termination]

def handler(event, context):
    return flags.wrap(answer)(event, context)
"""

OFF_THE_MAIN_THREAD = """
def answer(event, context):
    return [flags.is_enabled("simpleFlag"), flags.status.termination]

def wrap():
    global handler
    handler = flags.wrap(answer)

thread = threading.Thread(target=wrap)
thread.start()
thread.join()
"""


@pytest.mark.parametrize(
    ("source", "why"),
    [
        (TOO_LATE, "refused the extension (Extension.RegistrationClosed)"),
        (OFF_THE_MAIN_THREAD, "wrapped off the main thread"),
    ],
)
def test_each_invocation_flushes(run, flag_server, source, why):
    """Each invocation flushes, and the status says why there is no signal."""
    with run(source) as instance:
        for evaluations in (1, 2):
            enabled, termination = instance.invoke().json()

            assert enabled is True
            assert termination.startswith("not connected: ")
            assert why in termination
            assert flag_server.counts("simpleFlag") == Counts(yes=evaluations)


def test_silent_extensions_api(run, flag_server):
    """An Extensions API that never answers delays Init by its timeout only."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        source = f"""
        os.environ["AWS_LAMBDA_RUNTIME_API"] = "127.0.0.1:{silent.getsockname()[1]}"

        @flags.wrap
        def handler(event, context):
            return [flags.is_enabled("simpleFlag"), flags.status.termination]
        """
        with run(source) as instance:
            enabled, termination = instance.invoke().json()

            assert enabled is True
            assert "gave no usable answer (TimeoutError)" in termination
            assert not instance.state.extensions
            assert flag_server.counts("simpleFlag") == Counts(yes=1)
