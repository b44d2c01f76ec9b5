"""Models of a hub (Hugging Face's, or one with its interface): pinned by commit and by the hash of each file.

A file is taken from the local cache of the hub's own tools where it is there, else from the hub. Nothing is believed that does not have the
hash of the hub's list, or of the lock.
"""
