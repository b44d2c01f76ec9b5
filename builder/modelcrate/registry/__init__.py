"""The distribution protocol of registries, over the HTTP client of `net`.

`client.RegistryClient` is what modelcrate uses; `oras_client.Registry` is an oras client as well. Only this room imports
`requests` and `oras`. This file imports nothing, because importing oras takes longer than a rebuild without changes.
"""
