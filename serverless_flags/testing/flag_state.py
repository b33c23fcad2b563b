"""The flags that the embedded server serves, and where they come from."""

from __future__ import annotations

import copy
import json
import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from serverless_flags.exceptions import ConfigurationError

logger = logging.getLogger("serverless_flags")

CURE = 'write {"simpleFlag": true}, or a body of /api/client/features'
Signature = tuple[int, int]
"""A file's modification time in nanoseconds and its size in bytes."""


@dataclass(slots=True)
class FlagState:
    """A body of ``/api/client/features``, read again when its file changes."""

    body: dict[str, Any]
    path: Path | None = None
    _read: Signature | None = None

    @classmethod
    def of(cls, flags: Mapping[str, Any] | str | os.PathLike[str]) -> FlagState:
        """
        Take the flags from a mapping, or from the JSON file at a path.

        Raises:
            ConfigurationError: when they are neither name to bool nor a features body.
        """
        if isinstance(flags, Mapping):
            return cls(features_body(flags))
        if not isinstance(flags, (str, os.PathLike)):
            kind = type(flags).__name__
            message = f"flags are a mapping or a JSON file's path, not {kind}: {CURE}"
            raise ConfigurationError(message)
        path = Path(flags)
        try:
            signature = _signature(path)
        except OSError as error:
            message = f"cannot read the flags file {path} ({error.strerror}): {CURE}"
            raise ConfigurationError(message) from error
        return cls(read_flags(path), path, signature)

    def reload(self) -> bool:
        """
        Read the file again if it changed; a malformed edit keeps the last good flags.

        Returns:
            Whether the flags were replaced.
        """
        if self.path is None:
            return False
        try:
            signature = _signature(self.path)
            if signature == self._read:
                return False
            self._read = signature
            self.body = read_flags(self.path)
        except (OSError, ConfigurationError) as error:
            logger.warning("The last good flags stay in force: %s", error)
            return False
        return True

    def set(self, name: str, *, enabled: bool) -> None:
        """Turn a flag on or off, adding it when there is none of that name."""
        features = self.body["features"]
        for feature in features:
            if feature["name"] == name:
                feature["enabled"] = enabled
                return
        features.append(_feature(name, enabled=enabled))

    def of_projects(self, projects: list[str]) -> dict[str, Any]:
        """Return the body with the flags of these projects; none named means all."""
        if not projects:
            return self.body
        features = [
            feature
            for feature in self.body["features"]
            if feature.get("project", "default") in projects
        ]
        return {**self.body, "features": features}


def read_flags(path: Path) -> dict[str, Any]:
    """
    Read a flags file as a features body.

    Raises:
        OSError: when the file cannot be read.
        ConfigurationError: when it is not JSON, or not flags.
    """
    try:
        return features_body(json.loads(path.read_bytes()))
    except ConfigurationError as error:
        message = f"{path}: {error}"
        raise ConfigurationError(message) from None
    except ValueError as error:
        message = f"{path} is not JSON ({error}): {CURE}"
        raise ConfigurationError(message) from error


def features_body(flags: Any) -> dict[str, Any]:
    """
    Return flags as the body of ``/api/client/features``.

    Raises:
        ConfigurationError: when they are neither name to bool nor such a body.
    """
    if not isinstance(flags, Mapping):
        message = f"flags are a mapping, not {type(flags).__name__}: {CURE}"
        raise ConfigurationError(message)
    if isinstance(flags.get("features"), list):
        return _checked(copy.deepcopy(dict(flags)))
    for name, enabled in flags.items():
        if not isinstance(enabled, bool):
            message = f"flag {name!r} is {enabled!r}, neither true nor false: {CURE}"
            raise ConfigurationError(message)
    features = [_feature(name, enabled=enabled) for name, enabled in flags.items()]
    return {"version": 2, "features": features}


def _checked(body: dict[str, Any]) -> dict[str, Any]:
    """Check what a person has to say of a feature; fill in what the engine wants."""
    for feature in body["features"]:
        if (
            not isinstance(feature, dict)
            or not isinstance(feature.get("name"), str)
            or not isinstance(feature.get("enabled"), bool)
        ):
            message = f"a feature needs a name and enabled, not {feature!r}: {CURE}"
            raise ConfigurationError(message)
        feature.setdefault("strategies", [])
    body.setdefault("version", 2)
    return body


def _feature(name: str, *, enabled: bool) -> dict[str, Any]:
    return {
        "name": name,
        "type": "release",
        "project": "default",
        "enabled": enabled,
        "stale": False,
        "impressionData": False,
        "strategies": [{"name": "default", "constraints": [], "parameters": {}}],
        "variants": [],
    }


def _signature(path: Path) -> Signature:
    stat = path.stat()
    return stat.st_mtime_ns, stat.st_size
