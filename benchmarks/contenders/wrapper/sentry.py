"""Sentry's integration for AWS Lambda, in a runtime that only invokes the handler."""

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
    """The parts of the runtime's client that the integration wraps."""

    def post_invocation_result(self, result):
        """Hand the result on."""
        return result

    def post_invocation_error(self, error):
        """Ignore the error."""

    def post_init_error(self, error):
        """Ignore the error."""


class PlainClient(Client):
    """A client that the integration does not wrap."""

    def post_invocation_result(self, result):
        """Hand the result on."""
        return result


def handle_event_request(client, request_handler, event, context):
    """Run one invocation, as awslambdaric's function of this name does."""
    return client.post_invocation_result(request_handler(event, context))


class DroppingTransport(Transport):
    """Counts envelopes and drops them."""

    taken = 0

    def capture_envelope(self, envelope):  # noqa: ARG002  reason: the signature of every transport
        """Count the envelope."""
        DroppingTransport.taken += 1


bootstrap = ModuleType("bootstrap")
bootstrap.handle_event_request = handle_event_request
bootstrap.LambdaRuntimeClient = Client
sys.modules["bootstrap"] = bootstrap
sentry_sdk.init(
    dsn="http://public@127.0.0.1:9/1",
    integrations=[AwsLambdaIntegration()],
    transport=DroppingTransport,
    traces_sample_rate=RATE,
)
assert bootstrap.handle_event_request is not handle_event_request

timing = Timing()
asked = (PlainClient(), handler, EVENT, CONTEXT)
timing.call("plain", handle_event_request, asked, expected=ANSWER)
asked = (Client(), handler, EVENT, CONTEXT)
timing.call("wrapped", bootstrap.handle_event_request, asked, expected=ANSWER)
assert (DroppingTransport.taken > 0) is (RATE is not None), DroppingTransport.taken
timing.show()
