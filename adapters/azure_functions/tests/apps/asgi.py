"""A wrapped ASGI application as a function app."""

import azure.functions as func

from serverless_flags import FlagSession

flags = FlagSession()


async def application(scope, receive, send):
    """Answer any request with the state of the flag."""
    if scope["type"] == "lifespan":
        while True:
            event = (await receive())["type"]
            await send({"type": f"{event}.complete"})
            if event == "lifespan.shutdown":
                return
    body = str(flags.is_enabled("simpleFlag")).encode()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})


app = func.AsgiFunctionApp(
    app=flags.wrap(application), http_auth_level=func.AuthLevel.ANONYMOUS
)
