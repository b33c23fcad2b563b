"""The contract's functions, as Azure calls them."""

from __future__ import annotations

import azure.functions as func

from serverless_flags.testing.contract_function import answer, flags

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)


@app.route(route="function")
@flags.wrap
def function(req: func.HttpRequest) -> str:
    """Answer from the thread pool."""
    return answer(req.params.get("do", ""))


@app.route(route="function_async")
@flags.wrap
async def function_async(req: func.HttpRequest) -> str:
    """Answer on the worker's loop."""
    return answer(req.params.get("do", ""))
