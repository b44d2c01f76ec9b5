"""Measurements: ours beside other people's tools, on the same machine, in the same run. Not shipped.

    make bench                                      everything, in full size; writes docs/performance.md
    make bench BENCH="--scale 0.05 --only tar,warm" some of it, small; prints only

How it is kept fair: contenders take turns in a random but seeded order, each run begins with stores and registries of its own, the
first round is not timed (it warms the page cache, and its bytes and requests are counted by a relay that would slow the others),
and what is reported are medians with their range. Our command is the one of an installed wheel, start-up included.
"""
