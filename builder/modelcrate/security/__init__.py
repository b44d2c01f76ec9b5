"""Security of images: scans before a build, bills of materials, signatures and policies.

Nothing here changes an image. Documents about an image are artifacts beside it (`modelcrate.images.artifact`), so its digest stays the same.
"""
