"""UnleashClient as its tutorial shows it, with its defaults."""

import os

from _idle import show
from UnleashClient import UnleashClient

client = UnleashClient(
    url=os.environ["UNLEASH_URL"],
    app_name="idle",
    custom_headers={"Authorization": os.environ["UNLEASH_API_TOKEN"]},
    cache_directory=f"{os.environ['FOLDER']}/{os.getpid()}",
)
client.initialize_client()
show(client.is_enabled("flag-0", {"userId": "7"}))
