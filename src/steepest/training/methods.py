"""Update rules by name, as optax has them, and how the rate goes over a run.

A rule turns a gradient into a direction; the step is the direction times the rate, the schedule and a scale that the
loop lowers after a divergence. Keeping the three apart lets the loop change them without compiling anew.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import cache
from math import isfinite, log2
from typing import Any, NamedTuple

from ..errors import InputError

# Heavy-ball and Nesterov momentum as everybody sets them; less averages over fewer than ten steps.
DECAY = 0.9
# Names that people write otherwise than `method=` does.
IN_WORDS = {
    "l-bfgs": "L-BFGS",
    "newton-cg": "Newton-CG",
    "prodigy": "Prodigy",
    "sgd": "SGD",
    "nesterov": "Nesterov",
    "adam": "Adam",
    "adamw": "AdamW",
    "lion": "Lion",
}


@dataclass(frozen=True)
class Method:
    """An update rule ready to run.

    `transformation`: optax's. `rate`: the largest step size, None where the transformation holds its own. `family`:
    what step × curvature is compared with when it diverges ("gradient", "momentum", "nesterov", "adam" or "").
    `weight_decay` and `clip`: what of them is in the transformation, for comparing. `passed_over`: other choices and
    why not. `begun_at`: of a rule that finds its own step size, its memory with another first one; else None.
    """

    name: str
    transformation: Any
    rate: float | None
    schedule: str = "constant"
    warmup: int = 0
    family: str = ""
    because: str = ""
    passed_over: tuple[str, ...] = field(default=())
    weight_decay: float | None = None
    clip: float | None = None
    begun_at: Callable[[Any, float], Any] | None = None

    def __str__(self) -> str:
        rate = "" if self.rate is None else f" at rate {self.rate:.3g}"
        fall = f", falling to zero ({self.schedule})" if self.schedule in ("linear", "cosine") else ""
        because = f", because {self.because}" if self.passed_over else f", {self.because}"
        return "\n".join(
            [f"{self.in_words}{rate}{fall}{because}", *(f"  not {why}" for why in self.passed_over)]
        )

    @property
    def in_words(self) -> str:
        """Its name as people write it.

        >>> Method("l-bfgs", None, None).in_words, Method("momentum", None, 0.1).in_words
        ('L-BFGS', 'momentum')
        """
        return IN_WORDS.get(self.name, self.name)

    def to_dict(self) -> dict[str, Any]:
        """The choice as plain JSON values."""
        return {
            "name": self.name,
            "rate": self.rate,
            "schedule": self.schedule if isinstance(self.schedule, str) else "a function of the step",
            "warmup": self.warmup,
            "weight decay": self.weight_decay,
            "clip": self.clip,
            "because": self.because,
            "passed over": list(self.passed_over),
        }


def _sgd() -> Any:
    import optax

    return optax.identity()


def _momentum() -> Any:
    import optax

    return optax.trace(decay=DECAY)


def _nesterov() -> Any:
    import optax

    return optax.trace(decay=DECAY, nesterov=True)


def _adam() -> Any:
    import optax

    return in_units_of_the_slope(optax.scale_by_adam())


def _lion() -> Any:
    import optax

    return optax.scale_by_lion()


@dataclass(frozen=True)
class Rule:
    """A named rule: its direction, the rate people start from, its weight decay, its family."""

    direction: Callable[[], Any]
    rate: float
    decay: float
    family: str


# Rates: where the papers and libraries start. Kingma & Ba 2015 (Adam); Loshchilov & Hutter 2019 (AdamW); Chen et al.
# 2023 (Lion: a tenth of Adam's); for SGD what PyTorch's and Keras's examples use.
RULES = {
    "sgd": Rule(_sgd, 0.01, 0.0, "gradient"),
    "momentum": Rule(_momentum, 0.01, 0.0, "momentum"),
    "nesterov": Rule(_nesterov, 0.01, 0.0, "nesterov"),
    "adam": Rule(_adam, 1e-3, 0.0, "adam"),
    "adamw": Rule(_adam, 1e-3, 1e-4, "adam"),
    "lion": Rule(_lion, 1e-4, 1e-3, ""),
}


# What "auto" stands for, decided by `python -m benchmarks train`: Prodigy (Mishchenko & Defazio 2023) estimates the
# distance to the answer and with it Adam's rate while it goes; its step then falls linearly to zero.
AUTO_BECAUSE = (
    "it estimates its own step size, and with a falling step came lower than the best of seven constant rates of Adam, "
    "or within 2 % of the fall, on every task of the benchmark"
)
AUTO_PASSED_OVER = (
    "Adam: needs a rate, and its usual 1e-3 came less far on every task of the benchmark",
    "trial runs over several rates: they cost a part of the budget, and short trials favour rates that fail later",
)


def automatic(schedule: Any, warmup: int, weight_decay: float | None, clip: float | None) -> Method:
    """The method for somebody who names none: no rate to choose."""
    import optax
    from optax.contrib import prodigy

    chain = [] if clip is None else [optax.clip_by_global_norm(clip)]
    chain.append(in_units_of_the_slope(still_without_slope(prodigy(weight_decay=weight_decay or 0.0))))
    return Method(
        "prodigy",
        optax.chain(*chain),
        None,
        schedule,
        warmup,
        because=AUTO_BECAUSE,
        passed_over=AUTO_PASSED_OVER,
        weight_decay=weight_decay or 0.0,
        clip=clip,
        begun_at=_begun_at,
    )


def _begun_at(memory: Any, length: float) -> Any:
    """The memory of Prodigy with `length` as its first estimate, in place of a millionth."""
    import jax.numpy as jnp
    import optax

    before = optax.tree.get(memory, "estim_lr")
    return optax.tree.set(memory, estim_lr=jnp.full_like(before, length))


def still_without_slope(prodigy: Any) -> Any:
    """Prodigy that stands where it is until it has seen a slope.

    Its estimate divides by the sum of all slopes so far: where none was there yet (no unit of the network is active on
    the first batch) that is 0 ÷ 0, and optax's rule leaves NaN in every parameter. NaN among the slopes stays NaN.
    """
    import jax
    import jax.numpy as jnp
    import optax

    def update(slope: Any, state: Any, params: Any = None, **_: Any) -> tuple[Any, Any]:
        moved, following = prodigy.update(slope, state, params)
        none_yet = sum(jnp.sum(jnp.abs(leaf)) for leaf in jax.tree.leaves(following.grad_sum)) == 0
        estimate = jnp.where(none_yet, state.estim_lr, following.estim_lr)
        moved = jax.tree.map(lambda step: jnp.where(none_yet, jnp.zeros_like(step), step), moved)
        return moved, following._replace(estim_lr=estimate)

    return optax.GradientTransformationExtraArgs(prodigy.init, update)


class InUnits(NamedTuple):
    """The memory of a rule that is given slopes in units of `slope_unit`."""

    slope_unit: Any
    rule: Any


# Adam's ε, 1e-8, is added to the size of a slope: it must stay well below those that a run begins with.
SMALLEST_SLOPE = 1e-5
# The largest of the first slopes, in its unit, as a power of two. Adam's rule squares slopes, which single precision
# holds below 2^64: the rest is for slopes that grow.
LARGEST_POWER = 30
# Of the units: a slope that grows from next to nothing to one must not overflow when it is squared.
SMALLEST_POWER = -60


def in_units_of_the_slope(rule: Any) -> Any:
    """A rule whose steps do not depend on the unit of the cost, made of one that would stand still where it is small.

    The unit is one until the first slopes are known (`with_slope_unit`). It is a power of two, so that no digit is
    lost, and one for slopes of usual size, for which the rule is what it is everywhere else. Slopes above a thousand
    million have a larger unit, since their squares would overflow.
    """
    import jax
    import jax.numpy as jnp
    import optax

    def init(params: Any) -> InUnits:
        return InUnits(jnp.ones((), jnp.float32), rule.init(params))

    def update(slope: Any, state: InUnits, params: Any = None, **_: Any) -> tuple[Any, InUnits]:
        each = 1.0 / state.slope_unit
        slope = jax.tree.map(lambda g: (each * g).astype(g.dtype), slope)
        moved, following = rule.update(slope, state.rule, params)
        return moved, InUnits(state.slope_unit, following)

    return optax.GradientTransformationExtraArgs(init, update)


def slope_unit_of(memory: Any) -> Any:
    """The unit in which the rule of this memory is given slopes."""
    import optax

    return optax.tree.get(memory, "slope_unit", 1.0)


def with_slope_unit(memory: Any, slope: Any) -> Any:
    """The memory of a rule before its first step, with its unit as these slopes ask for.

    The typical slope is the geometric mean of those that are not zero: one parameter in another unit than all others
    hardly moves it. Where most slopes are next to nothing, the largest has a say.
    """
    import jax.numpy as jnp
    import optax

    before = optax.tree.get(memory, "slope_unit", None)
    if before is None:
        return memory
    typical, largest = (float(power) for power in _powers()(slope))
    if not isfinite(typical):
        return memory
    power = max(min(0.0, typical - log2(SMALLEST_SLOPE)), largest - LARGEST_POWER)
    unit = 2.0 ** max(SMALLEST_POWER, round(power))
    return optax.tree.set(memory, slope_unit=jnp.full_like(before, unit))


@cache
def _powers() -> Callable[[Any], Any]:
    """A function of slopes, compiled: which powers of two the typical one is, and the largest."""
    import jax
    import jax.numpy as jnp

    from ..tracing.batched import numbers_in

    def powers(slope: Any) -> tuple[Any, Any]:
        with numbers_in("float64"):
            sums, counts, sizes = zip(*map(of_array, jax.tree.leaves(slope)), strict=True)
            return sum(sums) / sum(counts), jnp.log2(jnp.stack(sizes).max())

    def of_array(leaf: Any) -> Any:
        size = jnp.abs(leaf)
        # The logarithm of a subnormal number is that of zero to some devices.
        there = size >= jnp.finfo(leaf.dtype).tiny
        each = (jnp.where(there, jnp.log2(size), 0.0), there, jnp.where(there, size, 0.0))
        # All three at once: of three sums the compiler would write each out first, three times the parameters.
        return jax.lax.reduce(
            tuple(part.astype(jnp.float64) for part in each),
            (jnp.float64(0.0),) * 3,
            lambda a, b: (a[0] + b[0], a[1] + b[1], jnp.maximum(a[2], b[2])),
            tuple(range(leaf.ndim)),
        )

    return jax.jit(powers)


# Methods that look at all data at every step, and how their plan reads when they were asked for.
WHOLE = {
    "l-bfgs": "as asked: all data at every step, whose length a line search measures",
    "newton-cg": "as asked: the slope over all data, the curvature from a sample of them",
}


# Arguments of `train` that only minibatches have, as they stand where nothing is said. (A batch size is not among them:
# it is left over where another method is put into the same call, and says how many rows a number of steps may see.)
OF_MINIBATCHES = {
    "rate": None,
    "schedule": None,
    "warmup": 0,
    "weight_decay": None,
    "clip": None,
    "accumulate": 1,
    "ceiling": None,
}


def speaks_of_minibatches(given: Mapping[str, Any]) -> str:
    """The first of the arguments of `train` that only minibatches have and that was given; "" if none was."""
    return next((name for name, unsaid in OF_MINIBATCHES.items() if given[name] != unsaid), "")


def whole(name: str, because: str, given: Mapping[str, Any]) -> Method:
    """A method over all data; raises `InputError` for a setting in `given` that only minibatches have."""
    setting = speaks_of_minibatches(given)
    if setting:
        raise InputError(
            f"{setting}={given[setting]!r}: method={name!r} has none; it looks at all data at every step, and its "
            "line search measures each step"
        )
    return Method(name, None, None, "constant", because=because)


def method_of(
    method: Any,
    rate: float | None,
    schedule: Any,
    warmup: int,
    weight_decay: float | None,
    clip: float | None,
) -> Method:
    """The update rule that `method` names, or the one around an optax transformation.

    Raises
    ------
    InputError: no such method, or a setting that this method cannot have.
    """
    import optax

    known = ["auto", "prodigy", *WHOLE, *RULES]
    name = method.lower().replace("_", "-") if isinstance(method, str) else ""
    if schedule is None:
        schedule = "linear" if name in ("auto", "prodigy") else "constant"
    if not callable(schedule) and schedule not in list(SCHEDULES):
        raise InputError(
            f"schedule={schedule!r}; choose {', '.join(SCHEDULES)}, or give a function of the step"
        )
    chain = [] if clip is None else [optax.clip_by_global_norm(clip)]
    if name in ("auto", "prodigy"):
        if rate is not None:
            raise InputError(
                f"rate={rate!r}: method={method!r} finds its own; name a method to go with it, such as adam"
            )
        return automatic(schedule, warmup, weight_decay, clip)
    if isinstance(method, str):
        rule = RULES.get(name)
        if rule is None:
            near = get_close_matches(name, known, n=1)
            hint = (
                f"did you mean {near[0]!r}?"
                if near
                else f"choose {', '.join(known)}, or an optax transformation"
            )
            raise InputError(f"method={method!r} is not known; {hint}")
        decay = rule.decay if weight_decay is None else weight_decay
        chain.append(rule.direction())
        if decay:
            chain.append(optax.add_decayed_weights(decay))
        chosen = rule.rate if rate is None else rate
        because = "as asked" if rate is not None else "as asked, at the rate people start from"
        family = rule.family if clip is None else ""
        return Method(
            name,
            optax.chain(*chain),
            chosen,
            schedule,
            warmup,
            family,
            because,
            weight_decay=decay,
            clip=clip,
        )
    if type(method).__module__.startswith("torch.optim"):
        raise InputError(
            f'method= is an optimiser of PyTorch\'s, {type(method).__name__}; name its rule, such as method="adam", '
            "rate=0.001"
        )
    if not (hasattr(method, "init") and hasattr(method, "update")):
        raise InputError(f"method={method!r}; give a name ({', '.join(known)}) or an optax transformation")
    for setting, value in (("rate", rate), ("weight_decay", weight_decay)):
        if value is not None:
            raise InputError(f"{setting}={value!r}: an optax transformation holds its own; set it there")
    chain.append(method)
    return Method(
        "an optax transformation",
        optax.chain(*chain),
        None,
        schedule,
        warmup,
        because="as handed in",
        clip=clip,
    )


# -- schedules: the part of the rate at a point of the run, `done` going from 0 to 1 ------------------------------


def _constant(done: Any) -> Any:
    return 1.0 + 0.0 * done


def _linear(done: Any) -> Any:
    return 1.0 - done


def _cosine(done: Any) -> Any:
    import jax.numpy as jnp

    # Loshchilov & Hutter 2017 (SGDR), eq. 5, one period and no restart.
    return 0.5 * (1.0 + jnp.cos(jnp.pi * done))


SCHEDULES: dict[Any, Callable[[Any], Any]] = {"constant": _constant, "linear": _linear, "cosine": _cosine}


def part_of_rate(method: Method, step: Any, total: Any) -> Any:
    """The part of the rate used at `step` of `total`: a linear rise over the warm-up, then the schedule."""
    import jax.numpy as jnp

    step = jnp.asarray(step, jnp.float32)
    if callable(method.schedule):
        return method.schedule(step)
    # The last step still moves: at step = total - 1 the linear schedule stands at 1/total, not at zero.
    done = jnp.clip((step - method.warmup) / jnp.maximum(total - method.warmup, 1.0), 0.0, 1.0)
    part = SCHEDULES[method.schedule](done)
    return part * jnp.minimum(1.0, (step + 1.0) / method.warmup) if method.warmup else part
