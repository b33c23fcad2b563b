"""Fixtures for instances of functions under the real functions-framework."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import pytest

from serverless_flags.testing import FlagServer, emulate
from serverless_flags_gcp_cloud_functions._emulator.emulator import (
    GcpCloudFunctionsEmulator,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

FUNCTIONS = Path(__file__).parent / "functions"

PATIENT = {
    "SERVERLESS_FLAGS_START_TIMEOUT": "20",
    "SERVERLESS_FLAGS_REFRESH_TIMEOUT": "20",
    "SERVERLESS_FLAGS_FLUSH_TIMEOUT": "20",
}
"""Generous timeouts: a busy machine must not fail a test."""


SERVERS = {
    "gthread": ("http", {"server": "gthread"}),
    "sync": ("http", {"server": "sync"}),
    "uvicorn": ("aio_http", {}),
    "uvicorn-def": ("aio_def_http", {}),
}
"""For each server: a function of ``flagged.py`` and the emulator's options."""


class Start(Protocol):
    """Start an instance of a function in ``functions/``."""

    def __call__(
        self, target: str, *, environ: dict[str, str] | None = None, **options: str
    ) -> GcpCloudFunctionsEmulator: ...


class StartUnder(Protocol):
    """Start a function under one of ``SERVERS``."""

    def __call__(self, **options: Any) -> GcpCloudFunctionsEmulator: ...


@pytest.fixture(name="start")
def _start() -> Iterator[Start]:
    with contextlib.ExitStack() as instances:

        def start(
            target: str, *, environ: dict[str, str] | None = None, **options: str
        ) -> GcpCloudFunctionsEmulator:
            instance = emulate(
                "gcp_cloud_functions",
                f"{FUNCTIONS}/{target}",
                environ={**PATIENT, **(environ or {})},
                **options,
            )
            assert isinstance(instance, GcpCloudFunctionsEmulator)
            return instances.enter_context(instance)

        yield start


@pytest.fixture(name="server")
def _server() -> Iterator[FlagServer]:
    with FlagServer({"simpleFlag": True, "otherFlag": True}) as server:
        yield server


@pytest.fixture(name="start_flagged")
def _start_flagged(start: Start, server: FlagServer) -> Start:
    """Start a function of ``flagged.py`` with the flag server."""

    def start_flagged(
        target: str, *, environ: dict[str, str] | None = None, **options: str
    ) -> GcpCloudFunctionsEmulator:
        environ = {**server.environ, **(environ or {})}
        return start(f"flagged.py:{target}", environ=environ, **options)

    return start_flagged


@pytest.fixture(name="start_under", params=SERVERS)
def _start_under(request: pytest.FixtureRequest, start_flagged: Start) -> StartUnder:
    """Start the same function under each server in turn."""
    target, options = SERVERS[request.param]
    return lambda **more: start_flagged(target, **{**options, **more})


@pytest.fixture(name="gate")
def _gate(tmp_path: Path) -> Path:
    """Make a named pipe: a function that reads it waits until it is closed."""
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    return gate
