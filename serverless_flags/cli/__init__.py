"""The command line: try the product on a laptop; never needed in production."""

from __future__ import annotations

import sys

__all__ = ["main"]


def main() -> None:
    """Run the command line, or say what to install for it."""
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
