"""The interpreter alone: the cost that every contender includes."""

print("True", flush=True)
