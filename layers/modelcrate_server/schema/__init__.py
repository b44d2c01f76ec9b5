"""A stand-in for the package `inference_schema`: decorators that describe the types of run() and convert its input."""
