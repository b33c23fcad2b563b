"""
Run an instance: ``python -m serverless_flags_azure_functions._instance SCRIPT PORT``.

PORT is where its host, the emulator, waits for its call. The application is imported
as the worker imports it, on the main thread and the running loop. No signal handler is
installed: SIGTERM does what it does on Azure.
"""

from __future__ import annotations

import asyncio
import json
import logging
import platform
import socket
import sys
import threading
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import TYPE_CHECKING, Any

from serverless_flags_azure_functions._instance.front import HOST, Front, Function

if TYPE_CHECKING:
    from serverless_flags_azure_functions._instance.data import Worker


def create_worker() -> Worker:
    """Return the worker library of this Python."""
    if sys.version_info >= (3, 13):
        from serverless_flags_azure_functions._instance.runtime import RuntimeWorker

        return RuntimeWorker()
    from serverless_flags_azure_functions._instance.library import LibraryWorker

    return LibraryWorker()


def find_worker() -> Worker:
    """Return the worker library, or exit with the cure when it is not installed."""
    try:
        return create_worker()
    except PackageNotFoundError as error:
        cure = "pip install 'serverless-flags-azure-functions[emulator]'"
        sys.exit(f"{error.name} is not installed for {sys.executable}: {cure}")


async def serve(script: Path, port: int) -> None:
    """Index the application, open the front, and run until a signal ends it."""
    sys.path.insert(0, str(script.parent))
    worker = find_worker()
    prefix = route_prefix(script.parent)
    functions = [
        Function(name, bindings, prefix)
        for name, bindings in (await worker.index(script)).items()
    ]
    front = Front(worker, functions, asyncio.get_running_loop())
    threading.Thread(target=front.serve_forever, name="host", daemon=True).start()
    with socket.create_connection((HOST, port)) as host:
        host.sendall(json.dumps(describe(worker, front)).encode())
    await asyncio.Event().wait()


def route_prefix(directory: Path) -> str:
    """Return what stands before every route: ``api``, unless host.json says else."""
    try:
        settings = json.loads((directory / "host.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        settings = {}
    http = settings.get("extensions", {}).get("http", {})
    return str(http.get("routePrefix", "api")).strip("/")


def describe(worker: Worker, front: Front) -> dict[str, Any]:
    """Return what the emulator must know."""
    return {
        "port": front.server_port,
        "runtime": f"{worker.runtime}, Python {platform.python_version()}",
        "functions": {
            function.name: {"trigger": function.trigger, "path": function.path}
            for function in front.functions
        },
    }


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)
    logging.getLogger("azure.functions").setLevel(logging.WARNING)
    asyncio.run(serve(Path(sys.argv[1]), int(sys.argv[2])))
