"""A function on Azure Functions with UnleashClient, made at import."""

import json
import os
import time

import azure.functions as func
from UnleashClient import UnleashClient

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)
client = UnleashClient(
    url=os.environ["UNLEASH_URL"],
    app_name="cold",
    custom_headers={"Authorization": os.environ["UNLEASH_API_TOKEN"]},
    cache_directory=f"{os.environ['FOLDER']}/{os.getpid()}",
)
client.initialize_client()


@app.route(route="handler")
def handler(req: func.HttpRequest) -> func.HttpResponse:  # noqa: ARG001  reason: what Azure passes
    answer = {
        "enabled": client.is_enabled("flag-0", {"userId": "7"}),
        "at": time.monotonic(),
    }
    return func.HttpResponse(json.dumps(answer))
