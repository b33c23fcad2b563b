"""A feature flag on Azure Functions: from the thread pool and from the event loop."""

import json

import azure.functions as func

from serverless_flags import FlagSession

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)
flags = FlagSession()


def message() -> str:
    """Say whether the flag is enabled."""
    state = "enabled" if flags.is_enabled("simpleFlag") else "disabled"
    return f"Feature flag 'simpleFlag' is {state}"


@app.route(route="hello", methods=["GET"])
@flags.wrap
def hello(req: func.HttpRequest) -> func.HttpResponse:  # noqa: ARG001  reason: Azure's signature
    """Answer an HTTP request."""
    body = json.dumps({"message": message()})
    return func.HttpResponse(body, mimetype="application/json")


@app.route(route="hello_async", methods=["GET"])
@flags.wrap
async def hello_async(req: func.HttpRequest) -> func.HttpResponse:  # noqa: ARG001  reason: Azure's signature
    """Answer an HTTP request from a coroutine."""
    body = json.dumps({"message": message()})
    return func.HttpResponse(body, mimetype="application/json")
