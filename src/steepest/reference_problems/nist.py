"""NIST StRD: 27 nonlinear regressions with parameters and standard errors certified to eleven digits.

Source: Statistical Reference Datasets, National Institute of Standards and Technology,
https://www.itl.nist.gov/div898/strd/nls/nls_main.shtml. The files are shipped unchanged in `data/`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np

Vector = np.ndarray

# One line of the table of starts and certified values: b1 = start 1, start 2, certified, standard deviation.
PARAMETER_LINE = re.compile(r"^\s*b\d+\s*=" + r"\s+([-+.\dEe]+)" * 4 + r"\s*$", re.MULTILINE)
# Every file's measurements begin here ("Data (lines 61 to ...)" in its own header).
FIRST_DATA_LINE = 60


@dataclass(frozen=True, eq=False)
class DataSet:
    """One regression: `m` measurements, a model of `n` parameters, and the certified answer.

    `x`: predictor, shape (m,); (2, m) for Nelson, which has two. `y`: what the model predicts, shape (m,):
    the response, its logarithm for Nelson. `starts`: two points, shape (n,), the first far, the second near.
    `parameters`, `standard_errors`: certified, shape (n,). `residual_sum`: certified residual sum of squares.
    `model(x, *b)`: the prediction, shape (m,). `formula`: the model as the file states it.
    """

    name: str
    difficulty: str  # "Lower", "Average" or "Higher"
    formula: str
    reference: str
    x: Vector
    y: Vector
    starts: tuple[Vector, Vector]
    parameters: Vector
    standard_errors: Vector
    residual_sum: float
    residual_deviation: float
    model: Callable[..., Any]

    @property
    def names(self) -> tuple[str, ...]:
        """The parameters' names, b1, b2, ..."""
        return tuple(f"b{i}" for i in range(1, self.parameters.size + 1))

    @property
    def degrees_of_freedom(self) -> int:
        """Measurements less parameters; Rat43's file states 9, its own figures follow from 15 - 4 = 11."""
        return self.y.size - self.parameters.size

    def residual(self, b: Any) -> Any:
        """Measurement less prediction at the parameters `b`, shape (m,)."""
        return self.y - self.model(self.x, *b)

    def cost(self, b: Any) -> Any:
        """Residual sum of squares at the parameters `b`."""
        return np.sum(self.residual(b) ** 2)


def load(name: str) -> DataSet:
    """The data set `name`, one of `NAMES`; raises KeyError for any other.

    >>> misra = load("Misra1a")
    >>> misra.y.size, misra.starts[0], misra.formula
    (14, array([5.e+02, 1.e-04]), 'y = b1*(1-exp[-b2*x]) + e')
    >>> bool(np.isclose(misra.cost(misra.parameters), misra.residual_sum, rtol=1e-9))
    True
    """
    if name not in MODELS:
        raise KeyError(f"no NIST data set {name!r}; there are {', '.join(NAMES)}")
    return _load(name)


def load_all() -> tuple[DataSet, ...]:
    """All 27 data sets, in the order of `NAMES`."""
    return tuple(load(name) for name in NAMES)


@cache
def _load(name: str) -> DataSet:
    text = files(__package__).joinpath("data", f"{name}.dat").read_text(encoding="ascii")
    table = np.array([row.groups() for row in PARAMETER_LINE.finditer(text)], dtype=np.float64)
    measurements = np.array(
        [line.split() for line in text.splitlines()[FIRST_DATA_LINE:] if line.strip()], np.float64
    )
    response, predictors = measurements[:, 0], measurements[:, 1:]
    arrays = {
        "x": predictors.T if predictors.shape[1] > 1 else predictors[:, 0],
        "y": np.log(response) if name in LOGARITHMIC else response,
        "parameters": table[:, 2],
        "standard_errors": table[:, 3],
    }
    starts = (table[:, 0].copy(), table[:, 1].copy())
    for shared in (*arrays.values(), *starts):
        shared.flags.writeable = False
    return DataSet(
        name=name,
        difficulty=_found(r"(Lower|Average|Higher) Level of Difficulty", text),
        formula=_formula(text),
        reference=" ".join(_found(r"Reference:\s+(.*?)\n\s*\n", text, re.DOTALL).split()),
        starts=starts,
        residual_sum=float(_found(r"Residual Sum of Squares:\s+(\S+)", text)),
        residual_deviation=float(_found(r"Residual Standard Deviation:\s+(\S+)", text)),
        model=MODELS[name],
        **arrays,
    )


def _found(pattern: str, text: str, flags: int = 0) -> str:
    match = re.search(pattern, text, flags)
    if match is None:
        raise ValueError(f"not a StRD file: nothing matches {pattern!r}")
    return match.group(1)


def _formula(text: str) -> str:
    block = _found(r"\n\s+((?:log\[y\]|y)\s+= .*?\+\s+e\b)", text, re.DOTALL)
    return " ".join(block.split())


# The model of each file, in its own words: exp[...] is np.exp, arctan and angles in radians.


def _misra1a(x: Any, b1: Any, b2: Any) -> Any:
    return b1 * (1 - np.exp(-b2 * x))


def _misra1b(x: Any, b1: Any, b2: Any) -> Any:
    return b1 * (1 - (1 + b2 * x / 2) ** -2)


def _misra1c(x: Any, b1: Any, b2: Any) -> Any:
    return b1 * (1 - (1 + 2 * b2 * x) ** -0.5)


def _misra1d(x: Any, b1: Any, b2: Any) -> Any:
    return b1 * b2 * x * (1 + b2 * x) ** -1


def _chwirut(x: Any, b1: Any, b2: Any, b3: Any) -> Any:
    return np.exp(-b1 * x) / (b2 + b3 * x)


def _dan_wood(x: Any, b1: Any, b2: Any) -> Any:
    return b1 * x**b2


def _gauss(x: Any, b1: Any, b2: Any, b3: Any, b4: Any, b5: Any, b6: Any, b7: Any, b8: Any) -> Any:
    return (
        b1 * np.exp(-b2 * x) + b3 * np.exp(-((x - b4) ** 2) / b5**2) + b6 * np.exp(-((x - b7) ** 2) / b8**2)
    )


def _lanczos(x: Any, b1: Any, b2: Any, b3: Any, b4: Any, b5: Any, b6: Any) -> Any:
    return b1 * np.exp(-b2 * x) + b3 * np.exp(-b4 * x) + b5 * np.exp(-b6 * x)


def _kirby2(x: Any, b1: Any, b2: Any, b3: Any, b4: Any, b5: Any) -> Any:
    return (b1 + b2 * x + b3 * x**2) / (1 + b4 * x + b5 * x**2)


def _cubic_ratio(x: Any, b1: Any, b2: Any, b3: Any, b4: Any, b5: Any, b6: Any, b7: Any) -> Any:
    return (b1 + b2 * x + b3 * x**2 + b4 * x**3) / (1 + b5 * x + b6 * x**2 + b7 * x**3)


def _nelson(x: Any, b1: Any, b2: Any, b3: Any) -> Any:
    time, temperature = x
    return b1 - b2 * time * np.exp(-b3 * temperature)


def _mgh09(x: Any, b1: Any, b2: Any, b3: Any, b4: Any) -> Any:
    return b1 * (x**2 + x * b2) / (x**2 + x * b3 + b4)


def _mgh10(x: Any, b1: Any, b2: Any, b3: Any) -> Any:
    return b1 * np.exp(b2 / (x + b3))


def _mgh17(x: Any, b1: Any, b2: Any, b3: Any, b4: Any, b5: Any) -> Any:
    return b1 + b2 * np.exp(-x * b4) + b3 * np.exp(-x * b5)


def _roszman1(x: Any, b1: Any, b2: Any, b3: Any, b4: Any) -> Any:
    return b1 - b2 * x - np.arctan(b3 / (x - b4)) / np.pi


def _enso(x: Any, b1: Any, b2: Any, b3: Any, b4: Any, b5: Any, b6: Any, b7: Any, b8: Any, b9: Any) -> Any:
    turn = 2 * np.pi * x
    year = b2 * np.cos(turn / 12) + b3 * np.sin(turn / 12)
    el_nino = b5 * np.cos(turn / b4) + b6 * np.sin(turn / b4)
    southern_oscillation = b8 * np.cos(turn / b7) + b9 * np.sin(turn / b7)
    return b1 + year + el_nino + southern_oscillation


def _rat42(x: Any, b1: Any, b2: Any, b3: Any) -> Any:
    return b1 / (1 + np.exp(b2 - b3 * x))


def _rat43(x: Any, b1: Any, b2: Any, b3: Any, b4: Any) -> Any:
    return b1 / (1 + np.exp(b2 - b3 * x)) ** (1 / b4)


def _eckerle4(x: Any, b1: Any, b2: Any, b3: Any) -> Any:
    return (b1 / b2) * np.exp(-0.5 * ((x - b3) / b2) ** 2)


def _bennett5(x: Any, b1: Any, b2: Any, b3: Any) -> Any:
    return b1 * (b2 + x) ** (-1 / b3)


# In the order of NIST's own list, by difficulty.
MODELS: dict[str, Callable[..., Any]] = {
    "Misra1a": _misra1a,
    "Chwirut2": _chwirut,
    "Chwirut1": _chwirut,
    "Lanczos3": _lanczos,
    "Gauss1": _gauss,
    "Gauss2": _gauss,
    "DanWood": _dan_wood,
    "Misra1b": _misra1b,
    "Kirby2": _kirby2,
    "Hahn1": _cubic_ratio,
    "Nelson": _nelson,
    "MGH17": _mgh17,
    "Lanczos1": _lanczos,
    "Lanczos2": _lanczos,
    "Gauss3": _gauss,
    "Misra1c": _misra1c,
    "Misra1d": _misra1d,
    "Roszman1": _roszman1,
    "ENSO": _enso,
    "MGH09": _mgh09,
    "Thurber": _cubic_ratio,
    "BoxBOD": _misra1a,
    "Rat42": _rat42,
    "MGH10": _mgh10,
    "Eckerle4": _eckerle4,
    "Rat43": _rat43,
    "Bennett5": _bennett5,
}
NAMES = tuple(MODELS)
# Nelson's model is of log(y): its errors are relative.
LOGARITHMIC = frozenset({"Nelson"})
