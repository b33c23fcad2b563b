"""OpenFeature with Unleash's own provider, with a given flag state."""

import tempfile

from _contexts import (
    FIELDS,
    NO_CONTEXT,
    ONE,
    PROPERTIES,
    TEN,
    USER,
    enabled,
    flag_for,
    text_for,
    variant,
)
from _state import STATE
from openfeature import api
from openfeature.evaluation_context import EvaluationContext
from timing import Timing
from unleash_openfeature_python_provider import UnleashFlagProvider
from UnleashClient.cache import FileCache

cache = FileCache("evaluation", directory=tempfile.mkdtemp())
cache.bootstrap_from_dict(STATE)
provider = UnleashFlagProvider(
    url="http://127.0.0.1:9",
    app_name="evaluation",
    cache=cache,
    disable_metrics=True,
    disable_registration=True,
    refresh_interval=3600,
    request_retries=0,
)
api.set_provider_and_wait(provider)
client = api.get_client()
contexts = {
    NO_CONTEXT: None,
    ONE: EvaluationContext(USER),
    TEN: EvaluationContext(USER, {**FIELDS, **PROPERTIES}),
}
timing = Timing()
for kind, context in contexts.items():
    asked = (flag_for(kind), False, context)
    timing.call(enabled(kind), client.get_boolean_value, asked, expected=True)
    asked = (text_for(kind), "", context)
    timing.call(variant(kind), client.get_string_value, asked, expected="navy")
timing.show()
