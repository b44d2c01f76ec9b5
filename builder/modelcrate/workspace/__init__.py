"""Registered models. A model has a name, versions 1, 2, 3 and so on, and layers that an image takes as they are.

A workspace is a folder (an OCI layout) or a repository prefix in any OCI registry, each kind in a module of its own. A registered model
is an OCI artifact, so any registry client can copy it. An image in the same workspace shares the model's layers.
"""
