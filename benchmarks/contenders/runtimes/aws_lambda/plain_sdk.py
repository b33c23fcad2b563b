"""A function on AWS Lambda with UnleashClient, made at import."""

import os
import time

from UnleashClient import UnleashClient

client = UnleashClient(
    url=os.environ["UNLEASH_URL"],
    app_name="cold",
    custom_headers={"Authorization": os.environ["UNLEASH_API_TOKEN"]},
    cache_directory=f"{os.environ['FOLDER']}/{os.getpid()}",
)
client.initialize_client()


def handler(event, context):  # noqa: ARG001  reason: what Lambda passes
    return {
        "enabled": client.is_enabled("flag-0", {"userId": "7"}),
        "at": time.monotonic(),
    }
