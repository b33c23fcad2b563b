"""A WSGI application as a function app: what is wrapped is the application."""

import azure.functions as func

from serverless_flags import FlagSession

flags = FlagSession()


def application(environ, start_response):
    """Answer the state of the flag to any request, in a body that is streamed."""
    start_response("200 OK", [("Content-Type", "text/plain")])
    yield str(flags.is_enabled("simpleFlag")).encode()


app = func.WsgiFunctionApp(
    app=flags.wrap(application), http_auth_level=func.AuthLevel.ANONYMOUS
)
