"""The functions that live, as Azure calls them."""

import azure.functions as func
from client import wrap
from subject import answer

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)


@app.route(route="function")
@wrap
def function(req: func.HttpRequest) -> str:
    return answer(req.params["do"])


@app.route(route="function_async")
@wrap
async def function_async(req: func.HttpRequest) -> str:
    return answer(req.params["do"])
