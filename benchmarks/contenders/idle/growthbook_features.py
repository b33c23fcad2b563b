"""GrowthBook with its features given."""

import json
import os

from _idle import show
from growthbook import GrowthBook

with open(os.environ["GROWTHBOOK_FLAGS"]) as file:
    features = json.load(file)
client = GrowthBook(attributes={"id": "7"}, features=features)
show(client.is_on("flag-0"))
