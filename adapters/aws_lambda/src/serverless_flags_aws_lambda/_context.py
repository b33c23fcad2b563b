"""
The evaluation context of an event: the user, the address, the method and the path.

Only values that AWS itself has verified are used. The shapes are documented at
https://docs.aws.amazon.com/apigateway/latest/developerguide/ (pages "Create AWS Lambda
proxy integrations" for HTTP APIs and "Input format of a Lambda function for proxy
integration" for REST APIs), https://docs.aws.amazon.com/lambda/latest/dg/ (pages
"urls-invocation" and "services-alb") and https://docs.aws.amazon.com/appsync/ (page
"Resolver context object reference"); docs/reference/context.md has them in a table.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable


def read_first_context(events: Iterable[Any]) -> dict[str, Any]:
    """Return the evaluation context of the first of several events that has one."""
    contexts = (read_context(event) for event in events)
    return next((context for context in contexts if context), {})


def read_context(event: Any) -> dict[str, Any]:
    """
    Return the evaluation context of a request; it is empty for other events.

    Function URLs and HTTP APIs send payload 2.0, REST and WebSocket APIs payload 1.0,
    Application Load Balancers and AppSync payloads of their own.
    """
    event = _unpack(event)
    request = _unpack(_dig(event, "requestContext"))
    if _unpack(_dig(request, "http")) is not None:
        return _read_http_api(event, request)
    if _unpack(_dig(request, "identity")) is not None:
        return _read_rest_api(event, request)
    if _unpack(_dig(request, "elb")) is not None:
        return _context(
            address=_last_forwarded_for(event),
            method=_dig(event, "httpMethod"),
            path=_dig(event, "path"),
        )
    if _unpack(_dig(event, "info")) is not None:
        return _read_app_sync(_dig(event, "identity"))
    return {}


def _read_http_api(event: Any, request: Any) -> dict[str, Any]:
    """Read payload 2.0: a Function URL or an HTTP API."""
    authorizer = _dig(request, "authorizer")
    return _context(
        user=_first(
            _dig(authorizer, "jwt", "claims", "sub"),
            _dig(authorizer, "iam", "cognitoIdentity", "identityId"),
            _dig(authorizer, "iam", "userId"),
            _dig(authorizer, "iam", "userArn"),
            _dig(authorizer, "lambda", "principalId"),
        ),
        address=_dig(request, "http", "sourceIp"),
        method=_dig(request, "http", "method"),
        path=_dig(event, "rawPath"),
    )


def _read_rest_api(event: Any, request: Any) -> dict[str, Any]:
    """Read payload 1.0: a REST or WebSocket API, or an HTTP API configured for it."""
    authorizer, identity = _dig(request, "authorizer"), _dig(request, "identity")
    return _context(
        user=_first(
            _dig(authorizer, "claims", "sub"),
            _dig(authorizer, "principalId"),
            _dig(identity, "cognitoIdentityId"),
            _dig(identity, "user"),
            _dig(identity, "userArn"),
        ),
        address=_dig(identity, "sourceIp"),
        method=_dig(event, "httpMethod"),
        path=_dig(event, "path"),
    )


def _read_app_sync(identity: Any) -> dict[str, Any]:
    """
    Read the identity that AppSync passes to a resolver.

    ``sourceIp`` is a list; it has one address only if the client sent no
    X-Forwarded-For.
    """
    addresses = _dig(identity, "sourceIp")
    alone = isinstance(addresses, list) and len(addresses) == 1
    return _context(
        user=_first(
            _dig(identity, "sub"),
            _dig(identity, "cognitoIdentityId"),
            _dig(identity, "userArn"),
        ),
        address=addresses[0] if alone else None,
    )


def _last_forwarded_for(event: Any) -> str | None:
    """
    Return the client's address, which the load balancer appends to the header.

    Earlier entries come from the client and may be forged. A port is removed.
    """
    values = _dig(event, "multiValueHeaders", "x-forwarded-for")
    value = values[-1] if isinstance(values, list) and values else None
    value = _first(value, _dig(event, "headers", "x-forwarded-for"))
    if value is None:
        return None
    address = value.rpartition(",")[2].strip()
    if address.startswith("["):
        return address[1:].partition("]")[0]
    return address.partition(":")[0] if address.count(":") == 1 else address


def _context(
    *,
    user: str | None = None,
    address: Any = None,
    method: Any = None,
    path: Any = None,
) -> dict[str, Any]:
    """Return the known values under the names that Unleash gives them."""
    context: dict[str, Any] = {"userId": user, "remoteAddress": _address(address)}
    context = {name: value for name, value in context.items() if value is not None}
    properties = {"method": _first(method), "path": _first(path)}
    known = {name: value for name, value in properties.items() if value is not None}
    return {**context, "properties": known} if known else context


def _dig(value: Any, *keys: str) -> Any:
    """Follow ``keys`` into nested structures; None where one is missing."""
    for key in keys:
        structure = _unpack(value)
        if structure is None:
            return None
        value = structure.get(key)
    return value


def _unpack(value: Any) -> Mapping[str, Any] | None:
    """Return a mapping, or a model as one; None for anything else."""
    if isinstance(value, Mapping):
        return value
    if value is None or isinstance(value, (str, bytes, list, int)):
        return None
    from serverless_flags_aws_lambda._models import unpack  # only for models

    return unpack(value)


def _address(value: Any) -> str | None:
    """Return an IP address; models hold objects, even networks of one address."""
    if type(value).__module__ == "ipaddress":
        value = str(value)
    address = _first(value)
    return None if address is None else address.partition("/")[0]


def _first(*values: Any) -> str | None:
    """Return the first value that is text and not empty."""
    text = next((value for value in values if isinstance(value, str) and value), None)
    return text if text is None or type(text) is str else str.__str__(text)  # an enum's
