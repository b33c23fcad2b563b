"""The interpreter alone: what everybody pays."""

print("True", flush=True)
