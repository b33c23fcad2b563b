"""The contract's function, as Google calls it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import functions_framework.aio

from serverless_flags.testing.contract_function import answer, flags

if TYPE_CHECKING:
    import flask
    from starlette.requests import Request


@flags.wrap
def function(request: flask.Request) -> str:
    """Answer from a thread of gunicorn, or from its main thread."""
    return answer(request.args.get("do", ""))


@functions_framework.aio.http
@flags.wrap
async def function_async(request: Request) -> str:
    """Answer on uvicorn's loop."""
    return answer(request.query_params.get("do", ""))
