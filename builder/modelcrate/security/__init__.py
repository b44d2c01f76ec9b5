"""Trust: what is in an image, who made it, and proof of both that needs nobody else. One file a thing.

Nothing here changes an image. What is said about one is an artifact beside it (`modelcrate.images.artifact`), and its digest stays what it was.
"""
