"""A function app imported as Python 3.15's worker does: not on the main thread."""

import threading
from importlib import import_module

modules = []
importing = threading.Thread(target=lambda: modules.append(import_module("flagged")))
importing.start()
importing.join()
app = modules[0].app
