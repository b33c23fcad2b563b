"""The token that the user's ``api_token()`` returns, asked for again when refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

from serverless_flags._transport.shared_call import SharedCall
from serverless_flags.exceptions import ConfigurationError, ServerlessFlagsError

if TYPE_CHECKING:
    from collections.abc import Callable

_MOST = 500
"""Characters of the user's own error that are shown: AWS's fill three lines."""


class TokenError(ServerlessFlagsError):
    """Raised when there is no token to send a request with; it says why."""


class CalledToken:
    """
    The token of a function, which may ask a secret manager and take its time.

    It is called on a thread of its own, once however many requests wait for it; a
    request waits no longer than its deadline, and a late result serves the next one.
    """

    def __init__(self, provide: Callable[[], str]) -> None:
        self._call = SharedCall(self._renew)
        self._provide = provide
        self._token: str | None = None
        self._refused: str | None = None

    @property
    def last(self) -> str | None:
        """The last token that was returned, whatever the server said of it."""
        return self._token

    def get(self, deadline: float, *, exiting: bool = False) -> str:
        """
        Return the token.

        Args:
            deadline: on the monotonic clock.
            exiting: the interpreter exits, so the function cannot be called: the last
                token has to do.

        Raises:
            TokenError: when there is none before the deadline.
        """
        token = self._token
        if token is not None and (exiting or token != self._refused):
            return token
        call = self._call.wait(deadline, may_start=not exiting)
        token = self._token
        if call is not None and call.error is not None:
            raise TokenError(self._reason(call.error))
        if call is None or token is None:
            when = "before the interpreter's exit" if exiting else "in time"
            message = f"api_token() has not returned {when}"
            raise TokenError(message)
        return token

    def refuse(self, token: str) -> None:
        """Note that the server did not accept ``token``: it may have been rotated."""
        self._refused = token

    def _renew(self) -> None:
        self._token = self._provide()
        self._refused = None

    def _reason(self, error: BaseException) -> str:
        from serverless_flags._transport.explain import name_of, shown  # failures only

        text = str(error)
        if self._token is not None:
            text = text.replace(self._token, "***")
        if isinstance(error, ConfigurationError):
            return shown(text, _MOST)
        return f"api_token() raised {name_of(error)}: {shown(text, _MOST)}".rstrip(": ")
