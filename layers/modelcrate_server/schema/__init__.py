"""Our stand-in for the package `inference_schema`.

Decorators that tell the types of run(), convert its input and describe it.
"""
