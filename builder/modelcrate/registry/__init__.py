"""The registry client. `modelcrate.registry.client.Registry` is its face; `requests` and `oras` are imported
nowhere else.

Nothing is imported here, because oras alone takes longer to import than a rebuild without changes takes.
"""
