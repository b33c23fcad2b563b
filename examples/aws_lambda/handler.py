"""A feature flag on AWS Lambda, behind a Function URL."""

import json
from typing import Any

from serverless_flags import FlagSession

flags = FlagSession()


def message() -> str:
    """Say whether the flag is enabled."""
    state = "enabled" if flags.is_enabled("simpleFlag") else "disabled"
    return f"Feature flag 'simpleFlag' is {state}"


@flags.wrap
def handler(event: dict[str, Any], context: object) -> dict[str, Any]:  # noqa: ARG001  reason: Lambda's signature
    """Answer an HTTP request."""
    return {
        "statusCode": 200,
        "headers": {"Content-Type": "application/json"},
        "body": json.dumps({"message": message()}),
    }
