"""What SnapStart's hooks do: before an image of a started process, and in a copy."""

import json
import os
import time

from serverless_flags import FlagSession

flags = FlagSession()
flags.start()
assert flags.is_enabled("flag-0", {"userId": "7"})
flags.renew()  # before the image

restored = time.perf_counter()
flags.renew()
flags.start()
enabled = flags.is_enabled("flag-0", {"userId": "7"})
seconds = time.perf_counter() - restored
print(enabled, flush=True)
assert enabled
assert flags.status.source == "server", flags.status
print(json.dumps({"first flag after a restore [seconds]": seconds}), flush=True)
os._exit(0)
