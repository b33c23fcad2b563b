"""Sentry's integration for AWS Lambda, in a runtime that does nothing else."""

import os
import sys
from types import ModuleType

import sentry_sdk
from _handlers import ANSWER, CONTEXT, EVENT, handler
from sentry_sdk.integrations.aws_lambda import AwsLambdaIntegration
from sentry_sdk.transport import Transport
from timing import Timing

RATE = 1.0 if os.environ["HOW"] == "traces" else None


class Client:
    """What of the runtime's client the integration takes over."""

    def post_invocation_result(self, result):
        """Hand the result on."""
        return result

    def post_invocation_error(self, error):
        """Have none."""

    def post_init_error(self, error):
        """Have none."""


class PlainClient(Client):
    """A client of which nothing is taken over."""

    def post_invocation_result(self, result):
        """Hand the result on."""
        return result


def handle_event_request(client, request_handler, event, context):
    """Run one invocation, as awslambdaric's function of this name does."""
    return client.post_invocation_result(request_handler(event, context))


class Nowhere(Transport):
    """Drops what it is given."""

    taken = 0

    def capture_envelope(self, envelope):  # noqa: ARG002  reason: the signature of all
        """Count it."""
        Nowhere.taken += 1


bootstrap = ModuleType("bootstrap")
bootstrap.handle_event_request = handle_event_request
bootstrap.LambdaRuntimeClient = Client
sys.modules["bootstrap"] = bootstrap
sentry_sdk.init(
    dsn="http://public@127.0.0.1:9/1",
    integrations=[AwsLambdaIntegration()],
    transport=Nowhere,
    traces_sample_rate=RATE,
)
assert bootstrap.handle_event_request is not handle_event_request

timing = Timing()
asked = (PlainClient(), handler, EVENT, CONTEXT)
timing.call("plain", handle_event_request, asked, expected=ANSWER)
asked = (Client(), handler, EVENT, CONTEXT)
timing.call("wrapped", bootstrap.handle_event_request, asked, expected=ANSWER)
assert (Nowhere.taken > 0) is (RATE is not None), Nowhere.taken
timing.show()
