"""OpenTelemetry's instrumentation for AWS Lambda; an exporter drops its spans."""

import _handlers
from _handlers import ANSWER, ASKED
from opentelemetry.instrumentation.aws_lambda import AwsLambdaInstrumentor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import (
    BatchSpanProcessor,
    SpanExporter,
    SpanExportResult,
)
from timing import Timing


class DroppingExporter(SpanExporter):
    """Counts spans and drops them."""

    taken = 0

    def export(self, spans):
        """Count the spans."""
        DroppingExporter.taken += len(spans)
        return SpanExportResult.SUCCESS


provider = TracerProvider()
provider.add_span_processor(BatchSpanProcessor(DroppingExporter()))
plain = _handlers.handler
AwsLambdaInstrumentor().instrument(
    tracer_provider=provider, meter_provider=MeterProvider()
)
assert _handlers.handler is not plain

timing = Timing()
timing.call("plain", plain, ASKED, expected=ANSWER)
timing.call("wrapped", _handlers.handler, ASKED, expected=ANSWER)
assert DroppingExporter.taken > 0
timing.show()
