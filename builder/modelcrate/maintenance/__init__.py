"""Images that exist, kept fresh: what of them is behind, and another base, with a proof that they run on it."""
