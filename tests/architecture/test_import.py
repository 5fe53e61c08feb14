"""`import steepest` is light: nothing heavy is imported, and no import touches a device."""

import subprocess
import sys
import textwrap

HEAVY = (
    "jax",
    "sympy",
    "matplotlib",
    "polars",
    "scipy",
    "rich",
    "typer",
    "optax",
    "asdex",
    "pandas",
    "torch",
    "starlette",
    "uvicorn",
    "anywidget",
    "IPython",
)


def answer(program):
    """What a fresh Python process prints when it runs `program`."""
    command = [sys.executable, "-c", textwrap.dedent(program)]
    run = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert run.returncode == 0, run.stderr
    return run.stdout.strip()


def test_importing_steepest_imports_nothing_heavy():
    loaded = answer(f"""
        import sys
        import steepest
        print(*[name for name in {HEAVY!r} if name in sys.modules])
    """)
    assert loaded == ""


def test_asking_for_public_names_imports_nothing_but_what_they_need():
    loaded = answer("""
        import sys
        import steepest
        steepest.Verdict, steepest.SteepestError
        print(*[name for name in ("jax", "sympy", "matplotlib") if name in sys.modules])
    """)
    assert loaded == ""


def test_importing_every_module_touches_no_device_and_leaves_the_users_settings_alone():
    device, changed = answer("""
        import importlib, pkgutil, os
        import numpy, jax, matplotlib
        before = jax.config.jax_enable_x64, numpy.geterr(), dict(matplotlib.rcParams), dict(os.environ)
        import steepest
        for module in pkgutil.walk_packages(steepest.__path__, "steepest."):
            if not module.name.endswith("__main__"):
                importlib.import_module(module.name)
        from jax._src import xla_bridge
        print(xla_bridge.backends_are_initialized())
        after = jax.config.jax_enable_x64, numpy.geterr(), dict(matplotlib.rcParams), dict(os.environ)
        print([i for i, (a, b) in enumerate(zip(before, after)) if a != b])
    """).splitlines()
    assert device == "False"
    assert changed == "[]"
