"""Images carried over a gap as files: an inventory of what the other side has, a bundle of what it lacks, and the loading there."""
