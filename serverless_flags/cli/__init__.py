"""The command line, for trying the package on a laptop; production does not need it."""

from __future__ import annotations

import sys

__all__ = ["main"]


def main() -> None:
    """Run the command line, or exit with a message that says what to install."""
    try:
        from serverless_flags.cli._commands import commands
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package not in {"click", "rich", "werkzeug"}:
            raise
        sys.exit(
            f"serverless-flags: the command line needs {package}: "
            "pip install 'serverless-flags[cli]'"
        )
    commands()
