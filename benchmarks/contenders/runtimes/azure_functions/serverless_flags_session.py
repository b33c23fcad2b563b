"""A function on Azure Functions with a session."""

import json
import time

import azure.functions as func

from serverless_flags import FlagSession

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)
flags = FlagSession()


@app.route(route="handler")
@flags.wrap
def handler(req: func.HttpRequest) -> func.HttpResponse:  # noqa: ARG001  reason: what Azure passes
    answer = {
        "enabled": flags.is_enabled("flag-0", {"userId": "7"}),
        "at": time.monotonic(),
    }
    status = flags.status
    answer |= {"platform": status.platform, "flags": status.flags}
    return func.HttpResponse(json.dumps(answer))
