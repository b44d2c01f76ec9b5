"""Hostile bytes, steered by coverage, into every parser of what comes from outside: `make fuzz`."""
