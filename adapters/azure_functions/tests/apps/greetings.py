"""Functions of a blueprint, in a module of their own, with the app's session."""

import azure.functions as func

from serverless_flags import FlagSession

blueprint = func.Blueprint()
flags = FlagSession()


@blueprint.route(route="greeting")
@flags.wrap
def greeting(req: func.HttpRequest) -> str:
    """Answer the state of the flag."""
    return str(flags.is_enabled("simpleFlag"))
