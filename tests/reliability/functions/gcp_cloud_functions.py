"""The function that lives, as Google calls it."""

import functions_framework.aio
from client import wrap
from subject import answer


@wrap
def function(request):
    return answer(request.args["do"])


@functions_framework.aio.http
@wrap
async def function_async(request):
    return answer(request.query_params["do"])
