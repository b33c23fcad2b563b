"""Everything that can be wrapped, with annotations that are strings."""

from __future__ import annotations

import json
from functools import partial

import azure.functions as func
from greetings import blueprint, flags

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)
app.register_functions(blueprint)


@app.route(route="context")
@flags.wrap
def context_of(req: func.HttpRequest, context: func.Context) -> str:
    """Answer with the worker's context."""
    return json.dumps(
        {
            "directory": context.function_directory,
            "function": context.function_name,
            "enabled": flags.is_enabled("simpleFlag"),
        }
    )


@app.route(route="output")
@app.queue_output(arg_name="message", queue_name="out", connection="Storage")
@flags.wrap
async def output(req: func.HttpRequest, message: func.Out[str]) -> str:
    """Answer, and set an output parameter."""
    message.set(str(flags.is_enabled("simpleFlag")))
    return "done"


@app.queue_trigger(arg_name="message", queue_name="in", connection="Storage")
@app.queue_output(arg_name="$return", queue_name="out", connection="Storage")
@flags.wrap
def returned(message: func.QueueMessage) -> str:
    """Return a message for the output binding."""
    return f"{message.get_body().decode()} {flags.is_enabled('simpleFlag')}"


@app.route(route="raising")
@flags.wrap
def raising(req: func.HttpRequest) -> str:
    """Raise after an evaluation."""
    flags.is_enabled("simpleFlag")
    message = "the function's own"
    raise LookupError(message)


@app.route(route="raising_async")
@flags.wrap
async def raising_async(req: func.HttpRequest) -> str:
    """Raise after an evaluation."""
    flags.is_enabled("simpleFlag")
    message = "the coroutine's own"
    raise LookupError(message)


class Service:
    """An object with a method that is a function."""

    async def answer(self, req: func.HttpRequest) -> str:
        """Answer from a method."""
        return f"method {flags.is_enabled('simpleFlag')}"


class Greeter:
    """An object that can be called."""

    def __call__(self, req: func.HttpRequest, context: func.Context) -> str:
        """Answer from an object."""
        return f"object {context.function_directory} {flags.is_enabled('simpleFlag')}"


app.route(route="method")(flags.wrap(Service().answer))
app.route(route="object")(flags.wrap(Greeter()))
app.function_name(name="partial")(
    app.route(route="partial")(flags.wrap(partial(Greeter())))
)
