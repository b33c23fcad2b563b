"""A wrapped WSGI application as a function app."""

import azure.functions as func

from serverless_flags import FlagSession

flags = FlagSession()


def application(environ, start_response):
    """Answer any request with the state of the flag, in a streamed body."""
    start_response("200 OK", [("Content-Type", "text/plain")])
    yield str(flags.is_enabled("simpleFlag")).encode()


app = func.WsgiFunctionApp(
    app=flags.wrap(application), http_auth_level=func.AuthLevel.ANONYMOUS
)
