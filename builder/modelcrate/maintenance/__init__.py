"""Images that exist, kept fresh: put onto another base, with a proof that they run on it."""
