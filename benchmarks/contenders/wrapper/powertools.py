"""Powertools for AWS Lambda: one decorator, or a feature flag."""

import os

from _handlers import ANSWER, ASKED, handler
from timing import Timing, discarded_output


def _logger():
    from aws_lambda_powertools import Logger

    return Logger(service="wrapper").inject_lambda_context(handler)


def _metrics():
    from aws_lambda_powertools import Metrics
    from aws_lambda_powertools.metrics import MetricUnit

    metrics = Metrics(namespace="wrapper", service="wrapper")

    @metrics.log_metrics
    def counting(event, context):  # noqa: ARG001  reason: what AWS passes
        metrics.add_metric("Called", MetricUnit.Count, 1)
        return ANSWER

    return counting


def _tracer():
    from aws_lambda_powertools import Tracer

    tracer = Tracer(service="wrapper")
    assert tracer.disabled is (os.environ.get("POWERTOOLS_TRACE_DISABLED") == "true")
    if not tracer.disabled:
        tracer.provider.configure(emitter=_Emitter())
    return tracer.capture_lambda_handler(handler)


class _Emitter:
    """Takes the place of the X-Ray daemon's socket, and drops everything."""

    sent = 0

    def send_entity(self, entity):
        """Serialize a segment, as for sending, and drop it."""
        _Emitter.sent += entity.serialize() is not None

    def set_daemon_address(self, address):
        """Ignore the address."""


def _flags():
    from aws_lambda_powertools.utilities.feature_flags import (
        FeatureFlags,
        StoreProvider,
    )

    condition = {"action": "KEY_IN_VALUE", "key": "userId", "value": ["7", "8"]}
    rule = {"when_match": True, "conditions": [condition]}
    schema = {"flag": {"default": False, "rules": {"users": rule}}}

    class Memory(StoreProvider):
        """A store whose configuration never changes."""

        @property
        def get_raw_configuration(self):
            """Return the schema."""
            return schema

        def get_configuration(self):
            """Return the schema."""
            return schema

    flags = FeatureFlags(store=Memory())

    def asking(event, context):  # noqa: ARG001  reason: what AWS passes
        return flags.evaluate(name="flag", context={"userId": "7"}, default=False)

    return asking


HOW = os.environ["HOW"]
timing = Timing()
timing.call("plain", handler, ASKED, expected=ANSWER)
if HOW == "flags":
    timing.call("one flag", _flags(), ASKED, expected=True)
else:
    wrapped = {"logger": _logger, "metrics": _metrics, "tracer": _tracer}[HOW]()
    with discarded_output():
        timing.call("wrapped", wrapped, ASKED, expected=ANSWER)
    assert (_Emitter.sent > 0) is ("_X_AMZN_TRACE_ID" in os.environ)
timing.show()
