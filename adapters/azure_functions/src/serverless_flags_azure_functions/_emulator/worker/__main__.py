"""
Run an instance: ``python -m ..._instance SCRIPT PORT THREAD``.

PORT is where its host, the emulator, waits for its call. The application is imported
as the worker imports it, on the running loop: on the ``main`` thread or, as Python
3.15's worker does, on a ``bridge``. No signal handler is installed: SIGTERM does what
it does on Azure.
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

from serverless_flags_azure_functions._emulator.worker.host_server import HOST, Front, Function

if TYPE_CHECKING:
    from serverless_flags_azure_functions._emulator.worker.data import Worker


def create_worker() -> Worker:
    """Return the worker library of this Python."""
    if sys.version_info >= (3, 13):
        from serverless_flags_azure_functions._emulator.worker.runtime_worker import RuntimeWorker

        return RuntimeWorker()
    from serverless_flags_azure_functions._emulator.worker.library_worker import LibraryWorker

    return LibraryWorker()


def find_worker() -> Worker:
    """Return the worker library, or exit with the cure when it is not installed."""
    try:
        return create_worker()
    except PackageNotFoundError as error:
        cure = "pip install 'serverless-flags-azure-functions[emulator]'"
        sys.exit(f"{error.name} is not installed for {sys.executable}: {cure}")


async def serve(script: Path, port: int) -> None:
    """Call the host, index the application, open the front, run until a signal."""
    sys.path.insert(0, str(script.parent))
    worker = find_worker()
    with socket.create_connection((HOST, port)) as host:
        with host.makefile("rb") as words:
            told = words.read()
        environ = json.loads(told) if told else None
        prefix = route_prefix(script.parent)
        functions = [
            Function(name, bindings, prefix)
            for name, bindings in (await worker.index(script, environ)).items()
        ]
        front = Front(worker, functions, asyncio.get_running_loop())
        threading.Thread(target=front.serve_forever, name="host", daemon=True).start()
        host.sendall(json.dumps(describe(worker, front)).encode())
    await asyncio.Event().wait()


def serve_on_bridge(script: Path, port: int) -> None:
    """Serve on another thread than the main one; its failure is the process's."""
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
    _, script, port, thread = sys.argv
    if thread == "bridge":
        serve_on_bridge(Path(script), int(port))
    asyncio.run(serve(Path(script), int(port)))
