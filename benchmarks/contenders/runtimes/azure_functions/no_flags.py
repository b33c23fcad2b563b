"""A function on Azure Functions without flags: what its runtime costs."""

import json
import time

import azure.functions as func

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)


@app.route(route="handler")
def handler(req: func.HttpRequest) -> func.HttpResponse:  # noqa: ARG001  reason: what Azure passes
    answer = {"enabled": True, "at": time.monotonic()}
    return func.HttpResponse(json.dumps(answer))
