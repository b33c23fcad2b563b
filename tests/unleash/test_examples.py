"""The three examples under their real runtimes, on a real Unleash server."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

import pytest
from admin import Admin, wait_for

from serverless_flags.cli._azure_python import azure_python
from serverless_flags.cli._demo import EXAMPLES
from serverless_flags.testing import Counts, emulate

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from server import UnleashServer

FLAG = "simpleFlag"
ENABLED = f"Feature flag '{FLAG}' is enabled"
DISABLED = f"Feature flag '{FLAG}' is disabled"
MAX_AGE = 0.3
STALE_WHILE_REVALIDATE = 0.5


@pytest.fixture(name="admin")
def _admin(unleash: UnleashServer) -> Iterator[Admin]:
    """Yield the admin API of a server that has the flag."""
    admin = Admin(unleash.url, unleash.admin_token)
    admin.create_flag(FLAG)
    yield admin
    admin.remove_flag(FLAG)


@pytest.mark.parametrize("platform", EXAMPLES)
def test_a_flip_is_obeyed_and_every_evaluation_counted(
    admin: Admin, examples: Path, platform: str
) -> None:
    """A flip is obeyed within both ages, and no count is lost with the instance."""
    token = admin.create_token()
    environ = {
        "UNLEASH_URL": f"{admin.url}/api",
        "UNLEASH_API_TOKEN": token,
        "UNLEASH_APP_NAME": f"test-{platform}",
        "SERVERLESS_FLAGS_MAX_AGE": str(MAX_AGE),
        "SERVERLESS_FLAGS_STALE_WHILE_REVALIDATE": str(STALE_WHILE_REVALIDATE),
        # The machine may be slow; what is tested is not how long we wait for it.
        "SERVERLESS_FLAGS_START_TIMEOUT": "20",
        "SERVERLESS_FLAGS_REFRESH_TIMEOUT": "20",
    }
    admin.switch(FLAG, "on", token=token)
    target = str(examples / platform / EXAMPLES[platform])
    python = sys.executable
    if platform == "azure_functions":
        python = azure_python(checkout=examples.parent)
    answers: list[tuple[float, str]] = []

    with emulate(platform, target, environ=environ, python=python) as instance:

        def answer() -> str:
            began = time.monotonic()
            answers.append((began, instance.request().json()["message"]))
            return answers[-1][1]

        before = [answer() for _ in range(3)]
        flipped = admin.switch(FLAG, "off", token=token)
        wait_for(lambda: answer() == DISABLED)
        instance.terminate()
        print(instance.output)  # noqa: T201  reason: pytest shows it when a test fails

    messages = [message for _, message in answers]
    made = Counts(yes=messages.count(ENABLED), no=messages.count(DISABLED))
    wait_for(lambda: admin.counts(FLAG, f"test-{platform}").total >= made.total)
    obeyed_by = flipped + MAX_AGE + STALE_WHILE_REVALIDATE
    late = {message for began, message in answers if began > obeyed_by}

    assert before == [ENABLED] * 3
    assert messages[-1] == DISABLED
    assert late <= {DISABLED}
    assert admin.counts(FLAG, f"test-{platform}") == made
