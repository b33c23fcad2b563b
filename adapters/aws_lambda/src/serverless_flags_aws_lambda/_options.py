"""What the emulator can be told, as text: ``emulate("aws_lambda", …, grace="0.3")``."""

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
    """The emulator's options; durations in seconds."""

    mode: str = "on-demand"
    """``on-demand``, ``provisioned-concurrency`` (Init long before the first event),
    ``snap-start`` (Init, snapshot, restoration) or ``managed-instances`` (several
    workers, no freeze, no function timeout)."""

    polling: str = ""
    """Whether awslambdaric polls from a thread, ``true`` or ``false``. Empty: as in a
    managed runtime, from Python 3.12 on. A container image of one's own never polls."""

    grace: float = 0.5
    """From SIGTERM to SIGKILL; 0.3 when an external extension shares the phase."""

    timeout: float = 30.0
    """The function timeout."""

    init_timeout: float = 10.0
    """How long Init may take."""

    workers: int = 2
    """Processes of a managed instance; the other modes have one."""

    @property
    def managed(self) -> bool:
        """Whether this is an instance of Lambda Managed Instances."""
        return self.mode == "managed-instances"

    @property
    def processes(self) -> int:
        """How many processes ask for events."""
        return self.workers if self.managed else 1


def read_options(texts: Mapping[str, str]) -> Options:
    """
    Read the options.

    Raises:
        EmulatorError: when one is unknown or cannot be meant as it is written.
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
