"""Registered models: a name, versions 1, 2, 3, and files that are kept as the very layers an image has.

A workspace is a folder (an OCI layout) or a repository prefix in any OCI registry; one file a kind of it. A registered model is an
OCI artifact, so any registry client can copy it, and packaging it in its own workspace moves no byte of it.
"""
