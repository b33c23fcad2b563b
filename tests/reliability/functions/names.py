"""Resolve the flag server's name to the address in a file."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Any

NAME = "flags.test"
ADDRESS = Path(os.environ["LIFE_ADDRESS"])

_resolve = socket.getaddrinfo


def _getaddrinfo(host: Any, *args: Any, **kwargs: Any) -> Any:
    if host in {NAME, NAME.encode()}:
        host = ADDRESS.read_text()
    return _resolve(host, *args, **kwargs)


socket.getaddrinfo = _getaddrinfo
