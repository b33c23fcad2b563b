"""The process of an emulated instance: a real worker library and an HTTP server."""
