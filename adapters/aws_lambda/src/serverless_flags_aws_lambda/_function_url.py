"""
How a Function URL turns a request into an event, and a result into a response.

https://docs.aws.amazon.com/lambda/latest/dg/urls-invocation.html#urls-payloads
"""

from __future__ import annotations

import base64
import json
import time
import uuid
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping

_URL_ID = "emulated"


def build_event(
    method: str, target: str, headers: Mapping[str, str], body: bytes
) -> dict[str, Any]:
    """Build the event of payload format 2.0 for ``target``, a path with its query."""
    url = urlsplit(target)
    domain = f"{_URL_ID}.lambda-url.eu-west-1.on.aws"
    lower = {name.lower(): value for name, value in headers.items()}
    query = parse_qs(url.query, keep_blank_values=True)
    text, is_base64 = _as_text(body)
    now = time.time()
    return {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": url.path,
        "rawQueryString": url.query,
        "headers": {"host": domain, "x-forwarded-for": "127.0.0.1", **lower},
        "queryStringParameters": {name: ",".join(query[name]) for name in query},
        "requestContext": {
            "accountId": "anonymous",
            "apiId": _URL_ID,
            "domainName": domain,
            "domainPrefix": _URL_ID,
            "http": {
                "method": method,
                "path": url.path,
                "protocol": "HTTP/1.1",
                "sourceIp": "127.0.0.1",
                "userAgent": lower.get("user-agent", ""),
            },
            "requestId": str(uuid.uuid4()),
            "routeKey": "$default",
            "stage": "$default",
            "time": time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime(now)),
            "timeEpoch": int(now * 1000),
        },
        **({"body": text} if body else {}),
        "isBase64Encoded": is_base64,
    }


def read_result(result: str) -> tuple[int, str]:
    """Return the status and the body that a function's JSON result stands for."""
    value = json.loads(result) if result else None
    if not isinstance(value, dict) or "statusCode" not in value:
        return 200, result
    body = value.get("body") or ""
    if not isinstance(body, str):
        body = json.dumps(body)
    if value.get("isBase64Encoded"):
        body = base64.b64decode(body).decode(errors="replace")
    return int(value["statusCode"]), body


def _as_text(body: bytes) -> tuple[str, bool]:
    """Return the body as text, or as base64 and True when it is none."""
    try:
        return body.decode(), False
    except UnicodeDecodeError:
        return base64.b64encode(body).decode(), True
