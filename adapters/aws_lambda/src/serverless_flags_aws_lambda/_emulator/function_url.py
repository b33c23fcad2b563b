"""
Function URLs: build the event of a request, and read the response from a result.

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
_DOMAIN = f"{_URL_ID}.lambda-url.eu-west-1.on.aws"


def build_event(
    method: str, target: str, headers: Mapping[str, str], body: bytes
) -> dict[str, Any]:
    """
    Build the event, in payload format 2.0, of a request to a Function URL.

    Args:
        method: the HTTP method.
        target: the path, with a query string if there is one.
        headers: the request's headers, by name.
        body: the request's body.
    """
    url = urlsplit(target)
    lower = {name.lower(): value for name, value in headers.items()}
    query = parse_qs(url.query, keep_blank_values=True)
    text, is_base64 = _as_text(body)
    return {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": url.path,
        "rawQueryString": url.query,
        "headers": {"host": _DOMAIN, "x-forwarded-for": "127.0.0.1", **lower},
        "queryStringParameters": {name: ",".join(query[name]) for name in query},
        "requestContext": _request_context(
            method, url.path, lower.get("user-agent", "")
        ),
        **({"body": text} if body else {}),
        "isBase64Encoded": is_base64,
    }


def _request_context(method: str, path: str, user_agent: str) -> dict[str, Any]:
    now = time.time()
    return {
        "accountId": "anonymous",
        "apiId": _URL_ID,
        "domainName": _DOMAIN,
        "domainPrefix": _URL_ID,
        "http": {
            "method": method,
            "path": path,
            "protocol": "HTTP/1.1",
            "sourceIp": "127.0.0.1",
            "userAgent": user_agent,
        },
        "requestId": str(uuid.uuid4()),
        "routeKey": "$default",
        "stage": "$default",
        "time": time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime(now)),
        "timeEpoch": int(now * 1000),
    }


def read_result(result: str) -> tuple[int, str]:
    """Return the HTTP status and the body of a function's JSON result."""
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
    """Return the body as text and False, or in base64 and True if it is binary."""
    try:
        return body.decode(), False
    except UnicodeDecodeError:
        return base64.b64encode(body).decode(), True
