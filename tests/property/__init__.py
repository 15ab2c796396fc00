"""Properties and fuzzing: inputs are drawn from a fixed seed, or from the one in `ASSAY_FUZZ_SEED`."""

import os

FUZZ_SEED = os.environ.get("ASSAY_FUZZ_SEED", "")
"""Beginning of the seeds of all random inputs."""
