"""A function on Google Cloud Functions with UnleashClient, made at import."""

import os
import time

import functions_framework
from UnleashClient import UnleashClient

client = UnleashClient(
    url=os.environ["UNLEASH_URL"],
    app_name="cold",
    custom_headers={"Authorization": os.environ["UNLEASH_API_TOKEN"]},
    cache_directory=f"{os.environ['FOLDER']}/{os.getpid()}",
)
client.initialize_client()


@functions_framework.http
def handler(request):  # noqa: ARG001  reason: what Google passes
    return {
        "enabled": client.is_enabled("flag-0", {"userId": "7"}),
        "at": time.monotonic(),
    }
