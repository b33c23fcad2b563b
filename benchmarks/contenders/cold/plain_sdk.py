"""UnleashClient as its tutorial shows it, with its defaults."""

import os

from UnleashClient import UnleashClient

client = UnleashClient(
    url=os.environ["UNLEASH_URL"],
    app_name="cold",
    custom_headers={"Authorization": os.environ["UNLEASH_API_TOKEN"]},
    cache_directory=f"{os.environ['FOLDER']}/{os.getpid()}",
)
client.initialize_client()
enabled = client.is_enabled("flag-0", {"userId": "7"})
print(enabled, flush=True)

assert enabled
os._exit(0)  # without waiting for the client's threads
