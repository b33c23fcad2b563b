"""A function on Google Cloud Functions without flags: what its runtime costs."""

import time

import functions_framework


@functions_framework.http
def handler(request):  # noqa: ARG001  reason: what Google passes
    return {"enabled": True, "at": time.monotonic()}
