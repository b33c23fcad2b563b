"""Events and responses of the emulated Function URL."""

from __future__ import annotations

import pytest

from serverless_flags_aws_lambda._emulator.function_url import build_event, read_result


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        ("null", (200, "null")),
        ('"text"', (200, '"text"')),
        ("[1]", (200, "[1]")),
        ('{"a": 1}', (200, '{"a": 1}')),
        ("", (200, "")),
        ('{"statusCode": 204}', (204, "")),
        ('{"statusCode": "404", "body": null}', (404, "")),
        ('{"statusCode": 200, "body": "text"}', (200, "text")),
        ('{"statusCode": 200, "body": {"a": 1}}', (200, '{"a": 1}')),
        (
            '{"statusCode": 200, "body": "dGV4dA==", "isBase64Encoded": true}',
            (200, "text"),
        ),
    ],
)
def test_result(result, expected):
    """A result with ``statusCode`` is a response, any other one is its JSON body."""
    assert expected == read_result(result)


def test_binary_body():
    """A binary body is encoded in base64."""
    event = build_event("POST", "/", {}, b"\xff\x00")

    assert (event["body"], event["isBase64Encoded"]) == ("/wA=", True)


def test_no_body():
    """The event of a request without a body has no ``body``."""
    assert "body" not in build_event("GET", "/", {}, b"")
