"""
Azure Functions on your machine, for development; not for production.

The package imports nothing: the instance, which runs ``worker``, imports it too.
"""
