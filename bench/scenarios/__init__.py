"""The scenarios, in the order in which they are run and reported."""

from bench.harness import Scenario
from bench.scenarios import builds, files, images, pushes, scaling

ALL: tuple[Scenario, ...] = (
    *files.SCENARIOS,
    *builds.SCENARIOS,
    *images.SCENARIOS,
    *pushes.SCENARIOS,
    *scaling.SCENARIOS,
)
