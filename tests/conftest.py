"""What every test shares: pictures without a screen, repeatable Hypothesis, the user's colours left out."""

import os

import pytest
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

# Seconds. What is compiled sooner is not worth a file.
WORTH_KEEPING = 0.1


@pytest.fixture(scope="session")
def executables(tmp_path_factory):
    """A folder for what XLA compiled; one for each test process, since JAX does not write its files in one go."""
    return tmp_path_factory.mktemp("executables")


@pytest.fixture(scope="module")
def compiled_once(executables):
    """For modules that compile the same programs in test after test: that is most of what a short training takes.

    It ends with the module, so that no test which measures the compiler finds its work done, and is not told to
    processes that a test starts: what they compile anew must come to the same bits.
    """
    import jax
    from jax.experimental.compilation_cache import compilation_cache

    kept = {
        "jax_compilation_cache_dir": str(executables),
        "jax_persistent_cache_min_compile_time_secs": WORTH_KEEPING,
    }
    before = {name: getattr(jax.config, name) for name in kept}

    def settle(values):
        for name, value in values.items():
            jax.config.update(name, value)
        compilation_cache.reset_cache()  # JAX asks once whether there is such a folder

    settle(kept)
    yield
    settle(before)
