"""A function app that is imported off the main thread, as by Python 3.15's worker."""

import threading
from importlib import import_module

modules = []
importing = threading.Thread(target=lambda: modules.append(import_module("flagged")))
importing.start()
importing.join()
app = modules[0].app
