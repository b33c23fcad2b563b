"""The token from the user's ``api_token()``, renewed when the server rejects it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from serverless_flags._transport.shared_call import SharedCall
from serverless_flags.exceptions import ConfigurationError, ServerlessFlagsError

if TYPE_CHECKING:
    from collections.abc import Callable

_MOST = 500
"""Characters shown of an error of the user's function; those of AWS are long."""


class TokenError(ServerlessFlagsError):
    """Raised when there is no token for a request; the message has the reason."""


class CalledToken:
    """
    The token that a function returns, perhaps slowly, from a secret manager.

    The function runs on a background thread, once for all requests that need it at the
    same time. A request waits until its deadline; the next one uses a late result.
    """

    def __init__(self, provide: Callable[[], str]) -> None:
        self._call = SharedCall(self._renew)
        self._provide = provide
        self._token: str | None = None
        self._rejected: str | None = None

    @property
    def last(self) -> str | None:
        """The last token that was returned, even if the server rejected it."""
        return self._token

    def get(self, deadline: float, *, exiting: bool = False) -> str:
        """
        Return the token.

        Args:
            deadline: on the monotonic clock.
            exiting: whether the interpreter exits, so that the function cannot be
                called; then the last token is used.

        Raises:
            TokenError: when there is no token before the deadline.
        """
        token = self._token
        if token is not None and (exiting or token != self._rejected):
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

    def reject(self, token: str) -> None:
        """Record that the server rejected ``token``, which may have been rotated."""
        self._rejected = token

    def _renew(self) -> None:
        self._token = self._provide()
        self._rejected = None

    def _reason(self, error: BaseException) -> str:
        # only after a failure
        from serverless_flags._transport.explain import name_of, shown

        text = str(error)
        if self._token is not None:
            text = text.replace(self._token, "***")
        if isinstance(error, ConfigurationError):
            return shown(text, _MOST)
        return f"api_token() raised {name_of(error)}: {shown(text, _MOST)}".rstrip(": ")
