"""A jaxpr evaluated in tiers: by NumPy at once, by XLA when it has been asked for often enough to be worth it.

Whether to compile is the ski-rental problem. Renting skis is interpreting; buying them is compiling. Buy when
the rent paid so far, over what owners pay, would have bought the skis: at most twice the best that hindsight
could do. Rent and price are foreseen from the equations (`costs`), not read from a clock, so that the same
run gives the same bits; the clock only corrects a forecast that is badly wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import ceil, inf
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import numerics
from ..bounds import FLOAT
from ..errors import InputError
from ..numerics import is_quiet
from ..tracing.passes import uses_inputs
from .costs import WORTH_LOOPING, foresee
from .interpreted import NoRule, interpret

if TYPE_CHECKING:
    from .compiled import Compiled, Traceable

# A forecast is overruled by the clock when it is wrong by this factor: far above what a busy machine explains.
BADLY_WRONG = 20.0
# Calls of either tier after which its quickest one tells how long it takes. If the compiled tier seems slow by then, it
# has more calls until they took as long as compiling does: its threads may still have to wake.
TRIAL_CALLS = 8
# The compiled function is given up when it turns out this many times slower than the interpreter was.
MUCH_SLOWER = 4.0


@dataclass
class Timing:
    """Seconds spent so far, by what they were spent on, and how many calls each tier has answered.

    `interpreted` holds the calls of that tier during which a clock was read, `watched_calls` of them.
    """

    writing: float = 0.0
    compiling: float = 0.0
    interpreted: float = 0.0
    compiled: float = 0.0
    interpreted_calls: int = 0
    watched_calls: int = 0
    compiled_calls: int = 0

    @property
    def calls(self) -> float:
        """Seconds spent in calls, without writing or compiling."""
        return self.interpreted + self.compiled


class Tiered:
    """A closed jaxpr as a function of NumPy arrays, giving a tuple of them.

    Arrays in the result are read-only, in both tiers: compiled ones are views of XLA's memory. `tier` is
    "interpreted" or "compiled", `timing` says where the time went, `foreseen` what was expected.

    Raises `InputError` for an argument of another shape.

    >>> import jax, numpy as np
    >>> with jax.enable_x64(True):
    ...     jaxpr = jax.make_jaxpr(lambda x: (x**2).sum())(jax.ShapeDtypeStruct((3,), np.float64))
    >>> cost = Tiered(jaxpr)
    >>> cost(np.array([1.0, 2.0, 3.0]))
    (np.float64(14.0),)
    >>> cost.tier
    'interpreted'
    """

    def __init__(self, closed_jaxpr: Any) -> None:
        self.jaxpr = closed_jaxpr
        self.foreseen = foresee(closed_jaxpr)
        self.timing = Timing()
        self.tier = "interpreted"
        self.asked = 0
        self._program: Traceable | None = None
        self._inputs = [(aval.shape, aval.dtype) for aval in closed_jaxpr.in_avals]
        self._only = self._inputs[0] if len(self._inputs) == 1 else None
        # What depends on no input, as the second derivatives of a quadratic, is computed at the first call.
        self._is_constant = not uses_inputs(closed_jaxpr)
        self._constant: tuple[Any, ...] | None = None
        self._arrays = [k for k, aval in enumerate(closed_jaxpr.out_avals) if aval.shape]
        self._price = self.foreseen.compiling
        self._surprising = BADLY_WRONG * self.foreseen.interpreted
        wasted = self.foreseen.wasted
        # Calls that the interpreter answers before the next one makes their waste reach the price.
        self._most_interpreted = max(ceil(self._price / wasted) - 1, 0) if wasted > 0.0 else inf
        # Once the clock has nothing left to say, calls up to so many go without it.
        self._unwatched = 0.0
        self._quickest = self._quickest_compiled = inf
        self._interpreted: Callable[..., tuple[Any, ...]] | None = None
        self._within_silence: Callable[..., tuple[Any, ...]] | None = None
        self._compiled: Compiled | None = None
        self._on_trial = False
        self._rejected = False
        if wasted >= self.foreseen.compiling:
            self.tier = "compiled"
            return
        start = perf_counter()
        try:
            self._interpreted = interpret(closed_jaxpr)
            self._within_silence = self._interpreted.within_silence  # type: ignore[attr-defined]
        except NoRule:
            self.tier = "compiled"
        self.timing.writing = perf_counter() - start

    def __call__(self, *arrays: Any) -> tuple[Any, ...]:
        """The outputs of the jaxpr at these inputs."""
        timing = self.timing
        if timing.interpreted_calls < self._unwatched and is_quiet():
            only, x = self._only, arrays[0]
            if type(x) is np.ndarray and x.dtype is FLOAT and x.shape == only[0]:  # type: ignore[index]
                timing.interpreted_calls += 1
                results = self._within_silence(x)  # type: ignore[misc]
                for k in self._arrays:
                    results[k].setflags(False)
                return results
        inputs: Sequence[Any] = arrays
        only = self._only
        if only is None or type(arrays[0]) is not np.ndarray or (arrays[0].shape, arrays[0].dtype) != only:
            inputs = self._checked(arrays)
        if self._constant is not None:
            return self._constant
        if self.tier == "interpreted" and not self._is_worth_compiling():
            evaluate = self._within_silence if is_quiet() else self._interpreted
            assert evaluate is not None
            start = perf_counter()
            results = evaluate(*inputs)
            seconds = perf_counter() - start
            timing.interpreted += seconds
            timing.watched_calls += 1
            # A clock that did not tick says nothing.
            if 0.0 < seconds < self._quickest:
                self._quickest = seconds
            timing.interpreted_calls += 1
            for k in self._arrays:
                results[k].setflags(False)
            if self._is_constant:
                self._constant = results
            elif timing.watched_calls >= TRIAL_CALLS and self._quickest <= self._surprising:
                # The quickest call will not get slower: no surprise is left to come.
                if self._only is not None and self._only[1] is FLOAT:
                    self._unwatched = self._most_interpreted
            return results
        compiled = self.compile()
        start = perf_counter()
        results = compiled(*inputs)
        seconds = perf_counter() - start
        timing.compiled += seconds
        timing.compiled_calls += 1
        if self._on_trial:
            if 0.0 < seconds < self._quickest_compiled:
                self._quickest_compiled = seconds
            if timing.compiled_calls >= TRIAL_CALLS:
                self._judge_trial()
        if self._is_constant:
            self._constant = results
        return results

    def compile(self) -> Compiled:
        """Move to the compiled tier now; gives its function."""
        self.tier, self._unwatched = "compiled", 0.0
        if self._compiled is None:
            from .compiled import compile_program

            start = perf_counter()
            self._compiled = compile_program(self.traceable(), self.jaxpr.in_avals)
            self.timing.compiling = perf_counter() - start
            self._on_trial = self._interpreted is not None and self.timing.watched_calls > 0
        return self._compiled

    @cached_property
    def is_on_host(self) -> bool:
        """Whether it is the host's own processor that computes it once it is compiled."""
        from .compiled import host_for

        return not numerics.accelerated() or host_for(self.jaxpr) is not None

    def traceable(self) -> Traceable:
        """The same as a part of other programs, which keep there what they compile around it."""
        if self._program is None:
            from .compiled import traceable

            self._program = traceable(self.jaxpr)
        return self._program

    def traceable_after(self, times: int) -> Traceable | None:
        """The same, asked for before each call; None where a loop around it gains nothing.

        On the host it gains nothing around what takes long, nor before the calls were so many.
        """
        self.asked += 1
        if self.is_on_host and (self.asked < times or self.foreseen.compiled > WORTH_LOOPING):
            return None
        return self.traceable()

    def _checked(self, arrays: tuple[Any, ...]) -> list[Any]:
        checked = []
        for array, (shape, dtype) in zip(arrays, self._inputs, strict=True):
            array = np.asarray(array, dtype)
            if array.shape != shape:
                raise InputError(f"expected an array of shape {shape}, got one of shape {array.shape}")
            checked.append(array)
        return checked

    def _is_worth_compiling(self) -> bool:
        """Whether what all calls wasted by not being compiled reaches the price with the coming one."""
        if self._rejected:
            return False
        if self.timing.interpreted_calls >= self._most_interpreted:
            return True
        # The quickest call: the mean of others holds what a busy machine made them wait.
        return inf > self._quickest > self._surprising and self.timing.interpreted > self._price

    def _judge_trial(self) -> None:
        """Go back to the interpreter if it was much the faster of the two after all.

        The quickest calls are compared: the first ones warm up, others wait for a busy machine, and neither may change
        which bits the same run gives.
        """
        if self._quickest_compiled <= MUCH_SLOWER * self._quickest:
            self._on_trial = False
        elif self.timing.compiled >= self._price:
            self._on_trial = False
            self.tier, self._rejected = "interpreted", True
