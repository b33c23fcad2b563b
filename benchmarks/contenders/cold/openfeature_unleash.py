"""OpenFeature with Unleash's own provider, as its README shows it."""

import os

from openfeature import api
from openfeature.evaluation_context import EvaluationContext
from unleash_openfeature_python_provider import UnleashFlagProvider

api.set_provider_and_wait(
    UnleashFlagProvider(
        url=os.environ["UNLEASH_URL"],
        app_name="cold",
        custom_headers={"Authorization": os.environ["UNLEASH_API_TOKEN"]},
        cache_directory=f"{os.environ['FOLDER']}/{os.getpid()}",
    )
)
user = EvaluationContext(targeting_key="7")
enabled = api.get_client().get_boolean_value(
    "flag-0", default_value=False, evaluation_context=user
)
print(enabled, flush=True)

assert enabled
os._exit(0)  # without waiting for the client's threads
