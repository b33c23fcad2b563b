"""Read a flag state: the body of an answer, or a snapshot file."""

from __future__ import annotations

import os
import stat

from serverless_flags._protocols import Fetched

MOST_SNAPSHOT = 32 * 1024 * 1024


def read_state(body: bytes) -> Fetched:
    """
    Decode a body that may be a flag state; the engine decides whether it is one.

    The engine parses each state separately, so a rejected one changes nothing. Parsing
    it here would hold the interpreter's lock for 17 ms at 5,000 flags.
    """
    try:
        text = body.removeprefix(_BYTE_ORDER_MARK).decode()
    except ValueError:
        text = ""
    if text.lstrip().startswith("{"):
        return Fetched(body=text)
    return Fetched(error="the answer is not JSON; does the url point to the API?")


def read_snapshot(path: str) -> Fetched:
    """
    Read a snapshot file: the body of ``/api/client/features``, of limited size.

    Reads UTF-16 and gzip too, as tools on Windows and ``curl --compressed`` write them.
    Every error names the file and, if it is known, what is wrong with the content.
    """
    try:
        return Fetched(body=_snapshot(path))
    except OSError as error:
        reason = f"cannot be read: {error.strerror or error}"
    except ValueError as error:
        reason = str(error)
    from serverless_flags._transport.explain import shown  # only after a failure

    return Fetched(error=f"the snapshot {shown(path, 1000)} {shown(reason)}")


def _snapshot(path: str) -> str:
    """Return the text of a snapshot. Raises OSError, or ValueError with the reason."""
    content = _read_file(path)
    if content.startswith(_GZIP):
        content = _decompressed(content)
    utf_16 = content.startswith((b"\xff\xfe", b"\xfe\xff"))
    # utf-8-sig would be another import
    content = content.removeprefix(_BYTE_ORDER_MARK)
    try:
        text = content.decode("utf-16" if utf_16 else "utf-8")
    except UnicodeError:
        text = ""
    if not text.lstrip().startswith("{"):
        message = "is not the body of /api/client/features: it is not JSON in UTF-8"
        raise ValueError(message)
    if '"features"' not in text and '"events"' not in text:
        what = "it has no features"
        if '"toggles"' in text:
            what = "it is from the frontend API, which has the flags of one user"
        message = f"is not the body of /api/client/features: {what}"
        raise ValueError(message)
    return text


def _read_file(path: str) -> bytes:
    """Read a regular file; reading a pipe or a device may never end."""
    _check_regular(os.stat(path))  # opening a device may have effects
    without_waiting = getattr(os, "O_NONBLOCK", 0)
    with open(path, "rb", opener=lambda p, f: os.open(p, f | without_waiting)) as file:
        _check_regular(os.fstat(file.fileno()))
        content = file.read(MOST_SNAPSHOT + 1)
    if len(content) > MOST_SNAPSHOT:
        message = f"is larger than {MOST_SNAPSHOT} bytes"
        raise ValueError(message)
    return content


def _check_regular(found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        message = "is not a regular file"
        raise ValueError(message)


def _decompressed(content: bytes) -> bytes:
    # late: only for a compressed snapshot
    from serverless_flags._transport.gunzip import gunzip

    try:
        return gunzip(content, MOST_SNAPSHOT)
    except Exception as error:
        message = "is compressed with gzip, and damaged or too large"
        raise ValueError(message) from error


_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_GZIP = b"\x1f\x8b"
