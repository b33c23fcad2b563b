"""This process's environment variables, without those of any platform or server."""

from __future__ import annotations

import os

_FOREIGN_PREFIXES = (
    *("AWS_", "AZURE_", "AzureWebJobs", "CLOUD_RUN_", "CONTAINER_APP_", "FUNCTION"),
    *("GCF_", "GUNICORN_", "K_", "LAMBDA_", "PYTHON_", "WEBSITE_", "WERKZEUG_"),
)
"""Prefixes that platforms and their servers reserve for their own variables."""

_FOREIGN_NAMES = frozenset(
    {
        "DEBUG",
        "ENTRY_POINT",
        "GCP_PROJECT",
        "HOST",
        "LOG_EXECUTION_ID",
        "PORT",
        "THREADED_TIMEOUT_ENABLED",
        "THREADS",
        "WORKERS",
        "_HANDLER",
    }
)


def machine_environ() -> dict[str, str]:
    """Return the variables that an emulated instance inherits from this process."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(_FOREIGN_PREFIXES) and name not in _FOREIGN_NAMES
    }
