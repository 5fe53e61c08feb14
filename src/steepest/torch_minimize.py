"""`minimize` for costs of PyTorch: values and slopes from its autograd."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .parameters import Parameters
from .results import Result


def minimize_torch(
    minimize: Callable[..., Result], fun: Callable[..., Any], x0: Any, args: Any, method: Any, **settings: Any
) -> Result:
    """Minimise `fun(x0, *args)`, `x0` a module or tensors, by the call `minimize`; `x` comes back in the form of `x0`.

    Tensors keep their own type: in float32 the walk ends where float32 can tell no more, so turn a module into double
    precision first (`module.double()`). A module gets its final weights written back.
    """
    from .training.torch_costs import TorchCost

    given = args if isinstance(args, tuple) else (args,)
    cost = TorchCost(lambda params, rest: fun(params, *rest), x0)
    torch = cost.torch
    shapes = Parameters.of(cost.start())
    kinds = [tensor.dtype for tensor in cost.tensors.values()]

    def value_and_slope(x: np.ndarray) -> tuple[float, np.ndarray]:
        values = [
            torch.tensor(x[leaf.start : leaf.stop].reshape(leaf.shape), dtype=kind)
            for leaf, kind in zip(shapes.leaves, kinds, strict=True)
        ]
        kept = [tensor.clone() for tensor in cost.buffers()]
        value, slopes = cost(values, given)
        if not all(torch.isfinite(tensor).all() for tensor in cost.buffers()):
            # Running means seen where the cost is none would stay so for good.
            with torch.no_grad():
                for tensor, before in zip(cost.buffers(), kept, strict=True):
                    tensor.copy_(before)
        return float(value), np.concatenate([np.asarray(slope, np.float64).ravel() for slope in slopes])

    result = minimize(value_and_slope, shapes.vector, method=method, jac=True, **settings)
    arrays = [result.x[leaf.start : leaf.stop].reshape(leaf.shape) for leaf in shapes.leaves]
    result["x"] = cost.handed_back(arrays)
    result["names"] = tuple(shapes.names)
    name = getattr(fun, "__name__", "<lambda>")
    result["label"] = "cost" if name == "<lambda>" else name
    return result
