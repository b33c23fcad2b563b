"""The commands and their options."""

from __future__ import annotations

import contextlib
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from serverless_flags.cli._control import Embedded
from serverless_flags.cli._demo import find_examples, run_demo
from serverless_flags.cli._report import report
from serverless_flags.cli._unleash import unleash
from serverless_flags.exceptions import ServerlessFlagsError
from serverless_flags.testing.flag_server import DEFAULT_TOKEN, FlagServer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from serverless_flags.cli._control import Control


class Commands(click.Group):
    """Print this package's errors without a traceback; their messages name the cure."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except ServerlessFlagsError as error:
            raise click.ClickException(str(error)) from error


@click.group(cls=Commands)
@click.version_option(package_name="serverless-flags")
def commands() -> None:
    """Unleash feature flags in serverless functions, on your own machine."""


@commands.command()
@click.option(
    "--flags",
    required=True,
    type=click.Path(path_type=Path),
    help='JSON: {"simpleFlag": true}, or a body of /api/client/features.',
)
@click.option("--port", default=4242, show_default=True, help="0 picks a free port.")
@click.option(
    "--token", default=DEFAULT_TOKEN, help="The token that functions must send."
)
def serve(flags: Path, port: int, token: str) -> None:
    """Serve the flags of a file as Unleash would; read it again when it changes."""
    with (
        contextlib.suppress(KeyboardInterrupt),
        _sigterm_as_interrupt(),
        FlagServer(flags, port=port, token=token) as server,
    ):
        click.echo(f"Serving {flags} at {server.url}; Ctrl-C ends it.\n")
        for name, value in server.environ.items():
            click.echo(f"export {name}='{value}'")
        while True:
            time.sleep(3600)


@commands.command()
@click.option("--url", help="A real Unleash server; default: the embedded one.")
@click.option(
    "--admin-token",
    envvar="UNLEASH_ADMIN_TOKEN",
    show_envvar=True,
    help="A token to create the flag and a backend token there; both are removed.",
)
@click.option(
    "--examples",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="The examples directory of a checkout; default: this checkout's.",
)
def demo(url: str | None, admin_token: str | None, examples: Path | None) -> None:
    """Run the examples under their clouds' real runtimes and flip a flag."""
    if url is not None and not admin_token:
        message = "--url needs --admin-token, which creates the flag"
        raise click.UsageError(message)
    directory = find_examples(examples)
    server: contextlib.AbstractContextManager[Control] = (
        unleash(url, admin_token) if url and admin_token else Embedded.started()
    )
    with _sigterm_as_interrupt(), server as control:
        rows = run_demo(control, directory)
    if not report(rows):
        raise SystemExit(1)


@contextlib.contextmanager
def _sigterm_as_interrupt() -> Iterator[None]:
    """Let SIGTERM end a command as Ctrl-C does, so that everything is cleaned up."""
    previous = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)
