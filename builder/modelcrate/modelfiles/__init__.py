"""Readers of model files, as bytes: nothing is imported, loaded or run. One module for each format.

All of them take a binary file that may be hostile. They end in bounded time and memory, with facts or with an
IntegrityError.
"""
