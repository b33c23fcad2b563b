"""The functions of a life, as Azure calls them."""

import azure.functions as func
from client import wrap
from cuts import by_cancellation, by_thread, cuttable
from subject import answer, answer_async

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)


def _seconds(req):
    return req.params.get("cut")


@app.route(route="function")
@cuttable(by_thread, _seconds)
@wrap
def function(req: func.HttpRequest) -> str:
    return answer(req.params["do"])


@app.route(route="function_async")
@cuttable(by_cancellation, _seconds)
@wrap
async def function_async(req: func.HttpRequest) -> str:
    return await answer_async(req.params["do"])
