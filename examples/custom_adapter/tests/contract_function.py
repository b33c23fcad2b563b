"""The contract's function as a WSGI application."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import parse_qs

from serverless_flags.testing.contract_function import answer, flags

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment


@flags.wrap
def function(environ: WSGIEnvironment, start_response: StartResponse) -> list[bytes]:
    """Answer a request."""
    (do,) = parse_qs(environ["QUERY_STRING"], keep_blank_values=True)["do"]
    text = answer(do)
    start_response("200 OK", [("Content-Type", "application/json")])
    return [text.encode()]
