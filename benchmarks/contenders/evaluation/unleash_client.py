"""UnleashClient with a given flag state."""

from _state import ask_unleash, raw_client
from timing import Timing

timing = Timing()
ask_unleash(timing, raw_client())
timing.show()
