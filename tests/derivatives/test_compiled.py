"""Where a compiled cost is computed: on the user's device, and by the processor where an accelerator would not pay."""

import os
import subprocess
import sys

import jax
import numpy as np
import pytest

from steepest import numerics
from steepest.derivatives import compiled
from steepest.derivatives.compiled import compile_jaxpr
from steepest.derivatives.exact import traced


def square():
    return traced(lambda x: (x**2).sum(), jax.ShapeDtypeStruct((3,), np.float64))


def test_the_device_that_the_user_set_is_the_one_that_computes():
    program = """
import jax
import numpy as np
from steepest import numerics
from steepest.derivatives.compiled import compile_jaxpr
from steepest.derivatives.exact import traced

second = jax.devices()[1]
jax.config.update("jax_default_device", second)
assert numerics.default_device() == second
(value,) = compile_jaxpr(traced(lambda x: (x**2).sum(), jax.ShapeDtypeStruct((3,), np.float64))).on_device(np.ones(3))
assert value.devices() == {second}, value.devices()
"""
    two = {**os.environ, "XLA_FLAGS": "--xla_force_host_platform_device_count=2"}
    subprocess.run([sys.executable, "-c", program], env=two, check=True, timeout=120)


@pytest.mark.parametrize(("worth_sending", "on_host"), [(0.0, False), (1.0, True)])
def test_what_an_accelerator_would_not_speed_up_is_computed_by_the_processor(
    monkeypatch, worth_sending, on_host
):
    monkeypatch.setattr(numerics, "accelerated", lambda: True)
    monkeypatch.setattr(compiled, "WORTH_SENDING", worth_sending)
    program = compile_jaxpr(square())
    assert program.on_host == on_host
    assert program(np.array([1.0, 2.0, 3.0])) == (14.0,)


def test_a_processor_that_jax_may_not_use_is_not_asked(monkeypatch):
    def none_there(backend=None):
        raise RuntimeError(f"no backend {backend}")

    closed = square()
    monkeypatch.setattr(numerics, "accelerated", lambda: True)
    monkeypatch.setattr(compiled.jax, "local_devices", none_there)
    assert not compile_jaxpr(closed).on_host
