"""Streaming gzip decompression with a size limit."""

from __future__ import annotations

import zlib

from serverless_flags._transport.resolver import TransportError

_MAGIC = b"\x1f\x8b"
"""The first bytes of each member of a gzip file."""


class Gunzip:
    """
    Decompresses a gzip file of one or more members as it arrives (RFC 1952, 2.2).

    Data after a member that is not another member, such as zeros, is ignored.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._written = 0
        self._member: zlib._Decompress | None = None
        self._between = b""
        self._any = False

    def feed(self, data: bytes) -> bytes:
        """Decompress ``data``. Raises zlib.error, and OSError when too large."""
        content = bytearray()
        while data:
            if self._member is None:
                data = self._begin(data)
                continue
            left = self._most - self._written + 1
            piece = self._member.decompress(data, left)
            self._written += len(piece)
            if self._written > self._most:
                raise too_large(self._most)
            content += piece
            data = self._member.unused_data
            if self._member.eof:
                self._member = None
        return bytes(content)

    def _begin(self, data: bytes) -> bytes:
        """Start the next member, if one follows; return the data to feed to it."""
        if self._any:
            data = (self._between + data).lstrip(b"\0")
            self._between = data if len(data) < len(_MAGIC) else b""
            if not data.startswith(_MAGIC):
                return b""
        self._any = True
        self._member = zlib.decompressobj(wbits=31)
        return data

    def end(self) -> None:
        """Raise TransportError when the last member is incomplete."""
        if self._member is not None or self._between:
            message = "the compressed body is cut short"
            raise TransportError(message)


def gunzip(data: bytes, most: int) -> bytes:
    """Decompress a whole gzip file. Raises zlib.error, and OSError when too large."""
    inflate = Gunzip(most)
    content = inflate.feed(data)
    inflate.end()
    return content


def too_large(most: int) -> TransportError:
    """Return the error of a body of more than ``most`` bytes."""
    return TransportError(f"the body is larger than {most} bytes")
