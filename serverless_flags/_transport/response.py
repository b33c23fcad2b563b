"""Read a response: skip interim responses, and limit the size of the body."""

from __future__ import annotations

import http.client

from serverless_flags._transport.gunzip import Gunzip, too_large
from serverless_flags._transport.resolver import TransportError

_MOST_INTERIM = 100
_SWITCHING_PROTOCOLS = 101


class Response(http.client.HTTPResponse):
    """A response that skips the interim responses before it (RFC 9110, 15.2)."""

    def begin(self) -> None:
        super().begin()
        for _ in range(_MOST_INTERIM):
            if self.status // 100 != 1 or self.status == _SWITCHING_PROTOCOLS:
                return
            self.headers = self.msg = None  # type: ignore[assignment]  # reason: as http.client has them before the first head
            super().begin()
        message = f"the server sent more than {_MOST_INTERIM} interim answers"
        raise TransportError(message)


def read_body(response: http.client.HTTPResponse, most: int) -> bytes:
    """
    Read the whole body of a response.

    Args:
        response: a response whose head has been read.
        most: the largest size in bytes, before and after decompression.

    Raises:
        OSError, http.client.HTTPException, ValueError, zlib.error: when the body is
            incomplete, too large, or cannot be decompressed.
    """
    encoding = (response.getheader("Content-Encoding") or "identity").strip().lower()
    if encoding not in {"identity", "gzip", "x-gzip"}:
        message = "the body is compressed, but not with gzip"
        raise TransportError(message)
    inflate = None if encoding == "identity" else Gunzip(most)
    expected, content, read = response.length, bytearray(), 0
    while chunk := response.read(65536):
        read += len(chunk)
        content += chunk if inflate is None else inflate.feed(chunk)
        if read > most or len(content) > most:
            raise too_large(most)
    if expected is not None and read < expected:
        raise http.client.IncompleteRead(bytes(content), expected - read)
    if inflate is not None:
        inflate.end()
    return bytes(content)
