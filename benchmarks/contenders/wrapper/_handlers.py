"""The handlers that are wrapped, and what the platforms call them with."""

import asyncio

import pyperf

ARN = "arn:aws:lambda:eu-central-1:123456789012:function:handler"
EVENT = {
    "version": "2.0",
    "routeKey": "$default",
    "rawPath": "/hello",
    "rawQueryString": "",
    "headers": {"host": "example.com", "user-agent": "curl", "accept": "*/*"},
    "requestContext": {
        "accountId": "anonymous",
        "apiId": "api",
        "domainName": "example.com",
        "http": {
            "method": "GET",
            "path": "/hello",
            "protocol": "HTTP/1.1",
            "sourceIp": "192.0.2.7",
            "userAgent": "curl",
        },
        "requestId": "id",
        "routeKey": "$default",
        "stage": "$default",
    },
    "isBase64Encoded": False,
}
"""What a Function URL sends."""


class LambdaContext:
    """The second argument of a handler, as the runtime makes it."""

    aws_request_id = "8476a536-e9f4-11e8-9739-2dfe598c3fcd"
    function_name = "handler"
    function_version = "$LATEST"
    invoked_function_arn = ARN
    log_group_name = "/aws/lambda/handler"
    log_stream_name = "stream"
    memory_limit_in_mb = "128"

    def get_remaining_time_in_millis(self):
        """Return three seconds."""
        return 3000


CONTEXT = LambdaContext()
ASKED = (EVENT, CONTEXT)
ANSWER = {"statusCode": 200, "body": "hello"}


def handler(event, context):  # noqa: ARG001  reason: what AWS passes
    """Answer at once."""
    return ANSWER


async def async_handler(event, context):  # noqa: ARG001  reason: what AWS passes
    """Answer at once, without suspending."""
    return ANSWER


kept_loop = asyncio.new_event_loop()


def run_kept(event, context):
    """Run the plain handler on a kept event loop, as a runtime would."""
    return kept_loop.run_until_complete(async_handler(event, context))


def time_awaited(timing, name, function, arguments=(), keywords=None):
    """Time an ``async def`` function that the runtime awaits."""
    keywords = keywords or {}

    async def timed(loops):
        began = pyperf.perf_counter()
        for _ in range(loops):
            await function(*arguments, **keywords)
        return pyperf.perf_counter() - began

    assert kept_loop.run_until_complete(function(*arguments, **keywords)) == ANSWER
    timing.loops(name, lambda loops: kept_loop.run_until_complete(timed(loops)))
