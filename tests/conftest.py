"""What every test shares: pictures without a screen, repeatable Hypothesis, the user's colours left out."""

import os

from hypothesis import HealthCheck, settings

# Before anything imports Matplotlib, rich or JAX. A test process must not take a whole GPU for itself.
os.environ["MPLBACKEND"] = "Agg"
os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
# The matrices are small, and the test processes have the cores already: more threads would wait for each other, busily.
os.environ.setdefault("OMP_NUM_THREADS", "1")
for variable in ("FORCE_COLOR", "CLICOLOR_FORCE", "COLUMNS", "NO_COLOR"):
    os.environ.pop(variable, None)

# Compiling makes the first example slow: no deadline. `HYPOTHESIS_PROFILE=search` looks for new failures.
settings.register_profile(
    "repeatable", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("search", deadline=None, max_examples=2000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeatable"))
