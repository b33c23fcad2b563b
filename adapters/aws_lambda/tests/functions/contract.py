"""The contract's function, as Lambda calls it."""

from __future__ import annotations

from typing import Any

from serverless_flags.testing.contract_function import answer, flags


@flags.wrap
def function(event: dict[str, Any], context: object) -> dict[str, Any]:
    """Answer a request to the Function URL."""
    return {"statusCode": 200, "body": answer(event["queryStringParameters"]["do"])}


@flags.wrap
async def function_async(event: dict[str, Any], context: object) -> dict[str, Any]:
    """Answer from a coroutine, which we run."""
    return {"statusCode": 200, "body": answer(event["queryStringParameters"]["do"])}
