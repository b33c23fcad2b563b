"""The function of a life, as Google calls it."""

import functions_framework.aio
from client import wrap
from cuts import by_cancellation, by_framework, cuttable
from subject import answer, answer_async


@cuttable(by_framework, lambda request: request.args.get("cut"))
@wrap
def function(request):
    return answer(request.args["do"])


@functions_framework.aio.http
@cuttable(by_cancellation, lambda request: request.query_params.get("cut"))
@wrap
async def function_async(request):
    return await answer_async(request.query_params["do"])
