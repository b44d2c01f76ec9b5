"""The registry client: `verbs.RegistryClient`, and `client.Registry`, which is an oras client too. `requests` and `oras` are imported
nowhere else.

Nothing is imported here, because oras alone takes longer to import than a rebuild without changes takes.
"""
