"""Which modules an import loads, in a new interpreter."""

from __future__ import annotations

import os
import subprocess
import sys

FORBIDDEN = {
    "UnleashClient",
    "asyncio",
    "click",
    "concurrent.futures",
    "email",
    "http.client",
    "importlib.metadata",
    "importlib_metadata",
    "requests",
    "rich",
    "socket",
    "ssl",
    "urllib.request",
    "werkzeug",
    "yggdrasil_engine",
}

CONSTRUCT = (
    "import serverless_flags as s;"
    " s.FlagSession(url='https://u.example/api', api_token='t')"
)


def _modules(code: str) -> set[str]:
    program = f"{code}\nimport sys; print(*sys.modules, sep='\\n')"
    command = [sys.executable, "-c", program]
    bare = {k: v for k, v in os.environ.items() if not k.startswith("COV")}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=bare)
    return set(done.stdout.split())


def test_import_loads_nothing_heavy():
    """Importing the package loads no SDK, network module, asyncio or metadata."""
    loaded = _modules("import serverless_flags")

    assert set() == loaded & FORBIDDEN


def test_construction_loads_nothing_heavy():
    """Creating a session loads no SDK and no network module either."""
    loaded = _modules(CONSTRUCT)

    assert set() == loaded & FORBIDDEN


def test_importing_adapters_loads_nothing_heavy():
    """Importing an adapter loads neither its implementation nor an SDK."""
    loaded = _modules(
        "import serverless_flags_aws_lambda, serverless_flags_azure_functions,"
        " serverless_flags_gcp_cloud_functions"
    )

    assert set() == loaded & FORBIDDEN
    assert not {name for name in loaded if name.endswith("._platform")}


def test_a_known_platform_is_found_without_entry_points():
    """On AWS Lambda the adapter is imported by name, without importlib.metadata."""
    loaded = _modules(
        "import os; os.environ['AWS_LAMBDA_FUNCTION_NAME'] = 'f'\n"
        "os.environ['AWS_LAMBDA_RUNTIME_API'] = '127.0.0.1:9'\n"
        f"{CONSTRUCT.replace('s.FlagSession', 'x = s.FlagSession')}\n"
        "assert x._core.plugins.platform.name == 'aws_lambda'"
    )

    assert "importlib.metadata" not in loaded
