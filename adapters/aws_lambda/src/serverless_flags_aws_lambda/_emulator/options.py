"""The options of the emulator: ``emulate("aws_lambda", ..., grace="0.3")``."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from serverless_flags import EmulatorError

if TYPE_CHECKING:
    from collections.abc import Mapping

_CHOICES = {
    "mode": (
        "on-demand",
        "provisioned-concurrency",
        "snap-start",
        "managed-instances",
    ),
    "polling": ("", "true", "false"),
}


@dataclass(frozen=True, slots=True)
class Options:
    """The options of the emulator; durations are in seconds."""

    mode: str = "on-demand"
    """``on-demand``, ``provisioned-concurrency`` (Init long before the first event),
    ``snap-start`` (Init, snapshot, restore) or ``managed-instances`` (several worker
    processes, no freeze, no function timeout)."""

    polling: str = ""
    """Whether awslambdaric polls for events on a thread: ``true`` or ``false``. If
    empty, it does so from Python 3.12 on, as Lambda's managed runtimes do; in your own
    container image it never does."""

    grace: float = 0.5
    """From SIGTERM to SIGKILL; Lambda gives 0.3 if there is an external extension."""

    timeout: float = 30.0
    """The function timeout."""

    init_timeout: float = 10.0
    """The longest Init phase."""

    workers: int = 2
    """The worker processes of a managed instance; the other modes have one process."""

    @property
    def managed(self) -> bool:
        """Whether this is an instance of Lambda Managed Instances."""
        return self.mode == "managed-instances"

    @property
    def processes(self) -> int:
        """The number of processes that request events."""
        return self.workers if self.managed else 1


def read_options(texts: Mapping[str, str]) -> Options:
    """
    Parse the options.

    Raises:
        EmulatorError: when an option is unknown or its value is invalid.
    """
    defaults = {field.name: field.default for field in fields(Options)}
    return Options(
        **{name: _read(name, text, defaults.get(name)) for name, text in texts.items()}
    )


def _read(name: str, text: str, default: Any) -> Any:
    if default is None:
        known = ", ".join(field.name for field in fields(Options))
        message = f"unknown option {name!r}; there are {known}"
        raise EmulatorError(message)
    if name in _CHOICES and text not in _CHOICES[name]:
        message = f"option {name}: {text!r} is none of {_CHOICES[name]}"
        raise EmulatorError(message)
    try:
        return type(default)(text)
    except ValueError:
        message = f"option {name}: {text!r} is not a number"
        raise EmulatorError(message) from None
