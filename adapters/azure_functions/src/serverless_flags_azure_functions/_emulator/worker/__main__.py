"""
Run an instance: ``python -m ..._emulator.worker SCRIPT PORT THREAD``.

The emulator, which acts as the host, accepts the worker's connection at PORT. THREAD is
the one that runs the event loop, where the application is imported: ``main``, or
``bridge`` for another one, as in the worker of Python 3.15. No signal handler is
installed, so SIGTERM has the same effect as on Azure.
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

from serverless_flags_azure_functions._emulator.worker.host_server import (
    HOST,
    Function,
    HostServer,
)

if TYPE_CHECKING:
    from serverless_flags_azure_functions._emulator.worker.data import Worker


def create_worker() -> Worker:
    """Return the worker library for this version of Python."""
    if sys.version_info >= (3, 13):
        from serverless_flags_azure_functions._emulator.worker.runtime_worker import (
            RuntimeWorker,
        )

        return RuntimeWorker()
    from serverless_flags_azure_functions._emulator.worker.library_worker import (
        LibraryWorker,
    )

    return LibraryWorker()


def find_worker() -> Worker:
    """Return the worker library, or exit and say how to install it."""
    try:
        return create_worker()
    except PackageNotFoundError as error:
        cure = "pip install 'serverless-flags-azure-functions[emulator]'"
        sys.exit(f"{error.name} is not installed for {sys.executable}: {cure}")


async def serve(script: Path, port: int) -> None:
    """Connect to the host, index the application, and serve until a signal."""
    sys.path.insert(0, str(script.parent))
    worker = find_worker()
    with socket.create_connection((HOST, port)) as host:
        with host.makefile("rb") as stream:
            message = stream.read()
        environ = json.loads(message) if message else None
        prefix = route_prefix(script.parent)
        functions = [
            Function(name, bindings, prefix)
            for name, bindings in (await worker.index(script, environ)).items()
        ]
        server = HostServer(worker, functions, asyncio.get_running_loop())
        threading.Thread(target=server.serve_forever, name="host", daemon=True).start()
        host.sendall(json.dumps(describe(worker, server)).encode())
    await asyncio.Event().wait()


def serve_on_bridge(script: Path, port: int) -> None:
    """Serve on a new thread, and raise the exception that ends it."""
    failures: list[BaseException] = []

    def run() -> None:
        try:
            asyncio.run(serve(script, port))
        except BaseException as failure:  # noqa: BLE001  reason: raised below
            failures.append(failure)

    bridge = threading.Thread(target=run, name="bridge-asyncio", daemon=True)
    bridge.start()
    bridge.join()
    raise failures[0]


def route_prefix(directory: Path) -> str:
    """Return the prefix of every route: ``api``, or that of host.json."""
    try:
        settings = json.loads((directory / "host.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        settings = {}
    http = settings.get("extensions", {}).get("http", {})
    return str(http.get("routePrefix", "api")).strip("/")


def describe(worker: Worker, server: HostServer) -> dict[str, Any]:
    """Return the instance's port, runtime and functions, for the emulator."""
    return {
        "port": server.server_port,
        "runtime": f"{worker.runtime}, Python {platform.python_version()}",
        "functions": {
            function.name: {"trigger": function.trigger, "path": function.path}
            for function in server.functions
        },
    }


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)
    logging.getLogger("azure.functions").setLevel(logging.WARNING)
    _, script, port, thread = sys.argv
    if thread == "bridge":
        serve_on_bridge(Path(script), int(port))
    asyncio.run(serve(Path(script), int(port)))
