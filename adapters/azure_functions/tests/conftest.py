"""Fixtures for instances of the function apps in ``apps/``."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import pytest

from serverless_flags.testing import FlagServer, emulate
from serverless_flags_azure_functions._emulator.emulator import AzureFunctionsEmulator

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

APPS = Path(__file__).parent / "apps"

PATIENT = {
    "SERVERLESS_FLAGS_START_TIMEOUT": "20",
    "SERVERLESS_FLAGS_REFRESH_TIMEOUT": "20",
    "SERVERLESS_FLAGS_FLUSH_TIMEOUT": "20",
    "SERVERLESS_FLAGS_REQUEST_TIMEOUT": "20",
}
"""Generous timeouts: a busy machine must not fail a test."""


class Start(Protocol):
    """Start an instance of a function app in ``apps/``."""

    def __call__(
        self, target: str, environ: Mapping[str, str] | None = None, **options: str
    ) -> AzureFunctionsEmulator: ...


@pytest.fixture(name="start")
def _start() -> Iterator[Start]:
    with contextlib.ExitStack() as instances:

        def start(
            target: str, environ: Mapping[str, str] | None = None, **options: str
        ) -> AzureFunctionsEmulator:
            instance = emulate(
                "azure_functions",
                f"{APPS}/{target}",
                environ={**PATIENT, **(environ or {})},
                **options,
            )
            assert isinstance(instance, AzureFunctionsEmulator)
            return instances.enter_context(instance)

        yield start


@pytest.fixture(name="flag_server")
def _flag_server() -> Iterator[FlagServer]:
    with FlagServer({"simpleFlag": True}) as server:
        yield server
