"""The distribution protocol of registries, over the HTTP client of `net`.

`client.RegistryClient` is what modelcrate uses; `oras_client.Registry` is an oras client as well. `requests` and
`oras` are imported here alone. Nothing is imported in this file, because importing oras takes longer than a rebuild without
changes.
"""
