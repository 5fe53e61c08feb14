"""PyTorch costs: value and slope from PyTorch, the update from the same rules as everything else.

Arrays go over without being copied (DLPack), as long as both sides keep them on the CPU or on the same GPU.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from ..errors import InputError
from ..optional import is_module, optional
from .batches import TORCH_STREAM, random_numbers

FEATURE, EXTRA = "PyTorch costs", "torch"


def named_tensors(params: Any) -> dict[str, Any]:
    """The trainable tensors by name: of a module those that ask for a slope, else the tensors of a dict or list."""
    torch = optional("torch", feature=FEATURE, extra=EXTRA)
    if is_module(params):
        found = {name: tensor for name, tensor in params.named_parameters() if tensor.requires_grad}
    elif isinstance(params, torch.Tensor):
        found = {"x": params}
    elif isinstance(params, dict):
        found = dict(params)
    else:
        found = {f"x[{k}]": tensor for k, tensor in enumerate(params)}
    for name, tensor in found.items():
        if not isinstance(tensor, torch.Tensor) or not tensor.is_floating_point():
            raise InputError(
                f"{name} is no tensor of real numbers; PyTorch costs take a module, or a dict or list of tensors"
            )
    if not found:
        raise InputError("the module has no parameter that asks for a slope (requires_grad)")
    return found


class TorchCost:
    """Value and slope of `cost(params, batch)` at tensors of our own, never the user's.

    `cost` is called with the structure the user gave: the module itself, whose parameters stand at the values asked
    for while it runs, or a dict or list of tensors.
    """

    def __init__(self, cost: Callable[..., Any], params: Any) -> None:
        self.torch = optional("torch", feature=FEATURE, extra=EXTRA)
        self.cost, self.params = cost, params
        self.tensors = named_tensors(params)
        kinds = {str(tensor.dtype).removeprefix("torch.") for tensor in self.tensors.values()}
        if len(kinds) > 1 or not kinds <= {"float32", "float64"}:
            raise InputError(
                f"the parameters are of type {', '.join(sorted(kinds))}; give them all in float32, or all in float64"
            )
        self.precision = kinds.pop()
        on_gpu = next(iter(self.tensors.values())).is_cuda
        self.device = "cuda" if on_gpu else "cpu"
        self.step_now: Callable[[], int] = lambda: 0

    def __call__(self, values: Sequence[Any], batch: Any) -> tuple[Any, list[Any]]:
        """The cost, a tensor of shape (), and its slope by each tensor of `values`."""
        torch = self.torch
        leaves = [value.detach().requires_grad_() for value in values]
        out = self._run(leaves, batch)
        if not isinstance(out, torch.Tensor) or out.numel() != 1:
            raise InputError(
                "the cost gives a Python number, which keeps no slope; leave out .item()"
                if isinstance(out, float)
                else "the cost gives no single number; end it with a mean over the batch, such as losses.mean()"
            )
        slopes: Sequence[Any] = ()
        if out.requires_grad:
            slopes = torch.autograd.grad(out.reshape(()), leaves, allow_unused=True)
        if all(slope is None for slope in slopes):
            raise InputError(
                "the cost depends on none of the parameters given: it reads others than those of its first argument, "
                "or cuts them off by detach() or no_grad()"
            )
        given = [torch.zeros_like(leaf) if s is None else s for s, leaf in zip(slopes, leaves, strict=True)]
        return out.detach().reshape(()), given

    def without_slope(self, values: Sequence[Any], layout: Any, batch: list[Any]) -> float:
        """The cost of a batch as it is used, not trained: no dropout, running means left alone."""
        torch = self.torch
        leaves = [torch.from_dlpack(value) for value in values]
        # Part of a module may be in its `eval` mode for good, as layers whose running means are to stay.
        modes = [(part, part.training) for part in self.params.modules()] if is_module(self.params) else []
        for part, _ in modes:
            part.training = False
        try:
            with torch.no_grad():
                return float(self._run(leaves, layout.build(iter(batch))))
        finally:
            for part, mode in modes:
                part.training = mode

    def buffers(self) -> list[Any]:
        """What a module keeps besides its parameters and its checkpoint must hold: running means, counts."""
        return list(self.params.buffers()) if is_module(self.params) else []

    @contextmanager
    def chance(self, seed: int, step: int) -> Iterator[None]:
        """PyTorch's random numbers (dropout) as seed and step decide, so that a resumed run draws the same."""
        torch = self.torch
        with torch.random.fork_rng():
            torch.manual_seed(int(random_numbers(seed, TORCH_STREAM, step + 1).integers(2**63)))
            yield

    def _run(self, leaves: list[Any], batch: Any) -> Any:
        if is_module(self.params):
            module = _Called(self.cost, self.params)
            named = {f"module.{name}": leaf for name, leaf in zip(self.tensors, leaves, strict=True)}
            return self.torch.func.functional_call(module.of(self.torch), named, (batch,))
        if isinstance(self.params, dict):
            return self.cost(dict(zip(self.tensors, leaves, strict=True)), batch)
        if isinstance(self.params, self.torch.Tensor):
            return self.cost(leaves[0], batch)
        return self.cost(type(self.params)(leaves), batch)

    def start(self) -> dict[str, np.ndarray]:
        """The values to start from, by name."""
        return {name: tensor.detach().cpu().numpy() for name, tensor in self.tensors.items()}

    def handed_back(self, arrays: Sequence[np.ndarray]) -> Any:
        """The final values in the form the user gave: a module gets them written into it, tensors come anew."""
        if not is_module(self.params):
            return self.like_given(arrays)
        self.write_back(arrays)
        return self.params

    def like_given(self, arrays: Sequence[np.ndarray]) -> Any:
        """Tensors with these values, in the structure the user gave."""
        tensors = [self.torch.as_tensor(np.array(array)) for array in arrays]
        if isinstance(self.params, self.torch.Tensor):
            return tensors[0]
        if isinstance(self.params, dict):
            return dict(zip(self.tensors, tensors, strict=True))
        return type(self.params)(tensors)

    def write_back(self, arrays: Sequence[np.ndarray]) -> None:
        """Put the final values into the user's module or tensors, in place."""
        with self.torch.no_grad():
            for tensor, array in zip(self.tensors.values(), arrays, strict=True):
                tensor.copy_(self.torch.as_tensor(np.array(array), dtype=tensor.dtype))


class _Called:
    """A cost of (module, batch) as a module of its own, so that PyTorch can put other values in its parameters."""

    def __init__(self, cost: Callable[..., Any], module: Any) -> None:
        self.cost, self.module = cost, module

    def of(self, torch: Any) -> Any:
        cost, inner = self.cost, self.module

        class Whole(torch.nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.module = inner

            def forward(self, batch: Any) -> Any:
                return cost(self.module, batch)

        return Whole()
