"""The SIGTERM handler of a process, behind `serverless_flags.signals`."""
