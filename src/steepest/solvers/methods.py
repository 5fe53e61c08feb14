"""The names and options people already type for a method, SciPy's among them, and the solver that each one means."""

from __future__ import annotations

import difflib
import warnings
from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any

from ..errors import InputError
from .adam import Adam
from .bfgs import BFGS
from .cobyqa import Cobyqa
from .constrained_driver import InteriorPointSolver
from .contract import Solver
from .gradient_descent import GradientDescent
from .lbfgs import LBFGS
from .levenberg_marquardt import LevenbergMarquardt
from .newton import Newton
from .newton_cg import NewtonCG
from .optax_rules import OptaxRule, is_optax_rule
from .plan import Plan
from .split_interior_point import SplitInteriorPoint
from .stopping import Tolerance

# Every way people write a method, in lower case with punctuation left out, and what builds it.
METHODS: dict[str, Callable[..., Solver]] = {
    "bfgs": BFGS,
    "lbfgs": LBFGS,
    "lbfgsb": LBFGS,
    "levenbergmarquardt": LevenbergMarquardt,
    "lm": LevenbergMarquardt,
    "gradientdescent": GradientDescent,
    "steepestdescent": GradientDescent,
    "gd": GradientDescent,
    "sgd": GradientDescent,
    "momentum": lambda rate=None, momentum=0.9: GradientDescent(rate, momentum),
    "heavyball": lambda rate=None, momentum=0.9: GradientDescent(rate, momentum),
    "nesterov": lambda rate=None, momentum=0.9: GradientDescent(rate, momentum, nesterov=True),
    "nag": lambda rate=None, momentum=0.9: GradientDescent(rate, momentum, nesterov=True),
    "adam": Adam,
    "newton": Newton,
    "trustexact": Newton,
    "dogleg": Newton,
    "newtoncg": NewtonCG,
    "trustncg": NewtonCG,
    "trustkrylov": NewtonCG,
    "tnc": NewtonCG,
    "interiorpoint": InteriorPointSolver,
    "splitinteriorpoint": SplitInteriorPoint,
    "cobyqa": Cobyqa,
}

SPELLINGS = (
    "BFGS",
    "L-BFGS",
    "Newton",
    "Newton-CG",
    "Levenberg-Marquardt",
    "gradient descent",
    "momentum",
    "nesterov",
    "adam",
    "COBYQA",
    "interior point",
    "split interior point",
)

# SciPy's methods that are not here under that name, and what does their work.
INSTEAD = {
    "neldermead": "'BFGS' uses the exact slope of the cost and needs far fewer evaluations",
    "powell": "'BFGS' uses the exact slope of the cost and needs far fewer evaluations",
    "cobyla": "'BFGS' takes bounds=; 'interior point' takes constraints=",
    "slsqp": "'BFGS' takes bounds=; 'interior point' takes constraints=",
    "trustconstr": "'BFGS' takes bounds=; 'interior point' takes constraints=",
    "cg": "'L-BFGS' needs as little memory and fewer evaluations",
}

# Options of each solver under the names people know, and the argument each one sets.
ARGUMENTS: dict[type, dict[str, str]] = {
    BFGS: {"still_falling": "still_falling", "c2": "still_falling"},
    Newton: {"sparse": "sparse"},
    Cobyqa: {"radius": "radius", "initial_tr_radius": "radius"},
    LBFGS: {"memory": "memory", "maxcor": "memory", "still_falling": "still_falling"},
    LevenbergMarquardt: {"first_radius": "first_radius", "newton": "newton"},
    GradientDescent: {"rate": "rate", "learning_rate": "rate", "momentum": "momentum"},
    Adam: {
        "rate": "rate",
        "learning_rate": "rate",
        "mean_decay": "mean_decay",
        "b1": "mean_decay",
        "square_decay": "square_decay",
        "b2": "square_decay",
        "tiny": "tiny",
        "eps": "tiny",
    },
}

# SciPy's options of the walk itself.
TOLERANCES = {"tol": "remaining", "gtol": "gradient", "ftol": "value", "xtol": "step", "xrtol": "step"}

LIMITS = {"maxiter": "max_steps", "maxfun": "max_evaluations", "maxfev": "max_evaluations"}

SPEECHLESS = ("disp", "iprint", "return_all")


def unconstrained_plan(plan: Plan) -> Plan:
    """The plan itself; raises `InputError` where its method needs constraints to walk between."""
    if isinstance(plan.solver, InteriorPointSolver):
        raise InputError(
            "method 'interior point' walks between constraints; give constraints=, or leave method out: bounds are "
            "kept by every method"
        )
    return plan


def plan_for(method: str | Solver, options: Mapping[str, Any] | None = None) -> Plan:
    """The plan for a method named by the user, in SciPy's spelling or ours, or for a solver made by hand.

    `options` may hold the solver's own and SciPy's `maxiter`, `maxfun` / `maxfev`, `gtol`, `ftol`, `xtol`.
    Raises `InputError` for a method or option that does not exist, naming the nearest that does.

    >>> plan_for("L-BFGS-B", {"maxcor": 5, "maxiter": 100}).solver
    LBFGS(memory=5, still_falling=0.9)
    """
    wishes = dict(options or {})
    tolerance = {
        ours: float(wishes.pop(name)) for name, ours in TOLERANCES.items() if wishes.get(name) is not None
    }
    limits: dict[str, Any] = {
        ours: _count(name, wishes.pop(name)) for name, ours in LIMITS.items() if wishes.get(name) is not None
    }
    wishes = {name: value for name, value in wishes.items() if value is not None}
    for name in SPEECHLESS:
        if wishes.pop(name, False) and name != "return_all":
            warnings.warn(
                f"option {name!r} has no effect: nothing is printed on the way. Look at result.history, or pass "
                "a callback",
                stacklevel=3,
            )
    if isinstance(method, str):
        solver = _built(method, wishes)
        because = f"method={method!r} asked for it"
    elif type(method) in ARGUMENTS or isinstance(method, Solver):  # a look into the table is quicker
        solver = _adjusted(method, wishes)
        because = "it was passed in"
    elif is_optax_rule(method):
        solver = _adjusted(OptaxRule(method), wishes)
        because = "it was passed in"
    else:
        raise InputError(
            f"method must be a name or a solver from steepest.solvers, not {type(method).__name__}"
        )
    if isinstance(solver, GradientDescent) and solver.rate is None:
        because += "; its rate is measured: half of 1 / the largest curvature felt at the start"
    return Plan(solver, because, (), Tolerance(**tolerance), **limits)


def _built(method: str, wishes: dict[str, Any]) -> Solver:
    key = _key(method)
    build = METHODS.get(key)
    if build is None:
        raise InputError(_unknown_method(method, key))
    return _adjusted(build(), wishes)


def _adjusted(solver: Solver, wishes: dict[str, Any]) -> Solver:
    """The same solver with the user's options set."""
    known = ARGUMENTS.get(type(solver), {})
    settings: dict[str, Any] = {}
    for name, value in wishes.items():
        if name not in known:
            raise InputError(_unknown_option(name, known, solver.name))
        settings[known[name]] = value
    if not settings:
        return solver
    current = {part.name: getattr(solver, part.name) for part in fields(solver)}  # type: ignore[arg-type]
    return type(solver)(**{**current, **settings})


def _count(name: str, value: Any) -> int:
    if isinstance(value, bool) or int(value) != value or value < 0:
        raise InputError(f"option {name!r} counts: write a whole number from 0 upwards, not {value!r}")
    return int(value)


def _unknown_method(method: str, key: str) -> str:
    listed = ", ".join(repr(name) for name in SPELLINGS)
    if key in INSTEAD:
        return f"method {method!r} is not here; {INSTEAD[key]}. Leave method out, or write one of {listed}"
    near = difflib.get_close_matches(key, METHODS, n=1, cutoff=0.5)
    meant = ""
    if near:
        spelling = next((name for name in SPELLINGS if METHODS[near[0]] is METHODS.get(_key(name))), near[0])
        meant = f" Did you mean {spelling!r}?"
    return f"there is no method {method!r}.{meant} Leave method out, or write one of {listed}"


def _key(name: str) -> str:
    return "".join(letter for letter in name.lower() if letter.isalnum())


def _unknown_option(name: str, known: Mapping[str, str], solver: str) -> str:
    everywhere = [*TOLERANCES, *LIMITS]
    near = difflib.get_close_matches(name, [*known, *everywhere], n=1)
    meant = f" Did you mean {near[0]!r}?" if near else ""
    having = [method for method in SPELLINGS if name in ARGUMENTS.get(type(METHODS[_key(method)]()), {})]
    if having:
        meant = f" It is an option of method {' or '.join(map(repr, having))}."
    return (
        f"{solver} has no option {name!r}.{meant} Its own: {', '.join(known) or 'none'}; "
        f"of every method: {', '.join(everywhere)}"
    )
