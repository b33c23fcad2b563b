"""The evaluation context of each event source, from the payloads that AWS documents."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from serverless_flags_aws_lambda._context import read_context

EVENTS = Path(__file__).parent / "events"


def load(name: str) -> dict[str, Any]:
    """Return the documented payload ``events/<name>.json``."""
    return json.loads((EVENTS / f"{name}.json").read_text())


def load_authorized(name: str, authorizer: object, **identity: str) -> dict[str, Any]:
    """Return a payload with another authorizer's result."""
    event = load(name)
    event["requestContext"]["authorizer"] = authorizer
    event["requestContext"].get("identity", {}).update(identity)
    return event


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (
            "function_url",
            {
                "userId": "AIDACOSFODNN7EXAMPLE2",
                "remoteAddress": "198.51.100.123",
                "properties": {"method": "POST", "path": "/my/path"},
            },
        ),
        (
            "http_api",
            {
                "userId": "248289761001",
                "remoteAddress": "192.0.2.1",
                "properties": {"method": "GET", "path": "/my/path"},
            },
        ),
        (
            "rest_api",
            {
                "userId": "248289761001",
                "remoteAddress": "192.0.2.1",
                "properties": {"method": "GET", "path": "/my/path"},
            },
        ),
        (
            "alb",
            {
                "remoteAddress": "72.12.164.125",
                "properties": {"method": "GET", "path": "/lambda"},
            },
        ),
        (
            "websocket",
            {
                "userId": "user-1",
                "remoteAddress": "192.0.2.1",
            },
        ),
        (
            "app_sync",
            {
                "userId": "248289761001",
                "remoteAddress": "192.0.2.1",
            },
        ),
        ("sqs", {}),
        ("s3", {}),
        ("eventbridge", {}),
    ],
)
def test_documented_payloads(name: str, expected: dict[str, Any]) -> None:
    """The context has the values that the event source knows, and no others."""
    assert expected == read_context(load(name))


@pytest.mark.parametrize(
    ("authorizer", "expected"),
    [
        (None, None),
        ({"jwt": {"claims": {"sub": ""}}}, None),
        ({"jwt": {"claims": None}}, None),
        ({"iam": {"userArn": "arn:aws:iam::1:user/x"}}, "arn:aws:iam::1:user/x"),
        (
            {"iam": {"userId": "AROA:s", "cognitoIdentity": {"identityId": "eu:1"}}},
            "eu:1",
        ),
        ({"lambda": {"principalId": "user-1"}}, "user-1"),
        ({"lambda": {"key": "value"}}, None),
        ({"lambda": None}, None),
    ],
)
def test_user_of_payload_2(authorizer: object, expected: str | None) -> None:
    """For an HTTP API or a Function URL, the user is the authorizer's."""
    context = read_context(load_authorized("http_api", authorizer))

    assert expected == context.get("userId")


@pytest.mark.parametrize(
    ("authorizer", "identity", "expected"),
    [
        (None, {}, None),
        ({"principalId": "user-1", "key": "value"}, {}, "user-1"),
        (None, {"user": "AIDA", "userArn": "arn:aws:iam::1:user/x"}, "AIDA"),
        (None, {"userArn": "arn:aws:iam::1:user/x"}, "arn:aws:iam::1:user/x"),
        (None, {"cognitoIdentityId": "eu:1", "user": "AROA:CognitoIdentity"}, "eu:1"),
    ],
)
def test_user_of_payload_1(
    authorizer: object, identity: dict[str, str], expected: str | None
) -> None:
    """For a REST API, the user is the authorizer's or IAM's."""
    context = read_context(load_authorized("rest_api", authorizer, **identity))

    assert expected == context.get("userId")


@pytest.mark.parametrize(
    ("identity", "expected"),
    [
        (None, {}),
        ({"resolverContext": {"sub": "invented"}}, {}),
        (
            {"cognitoIdentityId": "eu:1", "userArn": "arn:aws:iam::1:user/x"},
            {"userId": "eu:1"},
        ),
        ({"userArn": "arn:aws:iam::1:user/x"}, {"userId": "arn:aws:iam::1:user/x"}),
        ({"sourceIp": ["203.0.113.9", "192.0.2.1"]}, {}),
        ({"sourceIp": "192.0.2.1"}, {}),
    ],
)
def test_identity_of_app_sync(identity: object, expected: dict[str, str]) -> None:
    """For AppSync, the user is the authorized one; a single address is used."""
    assert expected == read_context({**load("app_sync"), "identity": identity})


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"headers": {"x-forwarded-for": "198.51.100.7"}}, "198.51.100.7"),
        ({"headers": {"x-forwarded-for": "1.1.1.1,198.51.100.7:443"}}, "198.51.100.7"),
        ({"headers": {"x-forwarded-for": "2001:db8::1"}}, "2001:db8::1"),
        ({"headers": {"x-forwarded-for": "1.1.1.1, [2001:db8::1]:443"}}, "2001:db8::1"),
        (
            {"multiValueHeaders": {"x-forwarded-for": ["1.1.1.1", "2.2.2.2, 3.3.3.3"]}},
            "3.3.3.3",
        ),
        ({"multiValueHeaders": {"x-forwarded-for": []}}, None),
        ({}, None),
    ],
)
def test_address_behind_a_load_balancer(
    headers: dict[str, Any], expected: str | None
) -> None:
    """Only the entry that the load balancer appended is used, without its port."""
    event = {key: value for key, value in load("alb").items() if key != "headers"}
    context = read_context({**event, **headers})

    assert expected == context.get("remoteAddress")


@pytest.mark.parametrize(
    "event",
    [
        None,
        "text",
        ["a", "list"],
        7,
        {},
        {"requestContext": None},
        {"requestContext": "text"},
        {"requestContext": {"http": None, "identity": None, "elb": None}},
        {"requestContext": {"http": {}}},
        {"requestContext": {"identity": {"sourceIp": 7}}},
        {"requestContext": {"elb": {}}, "headers": {"x-forwarded-for": 7}},
        {"info": {"fieldName": "getPost"}},
        {"info": "text", "identity": {"sub": "text"}},
    ],
)
def test_any_other_event(event: object) -> None:
    """An event of any other shape has no context and raises nothing."""
    assert read_context(event) == {}
