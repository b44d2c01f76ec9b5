"""The library, for images that are there. `modelcrate` has all of its functions."""
