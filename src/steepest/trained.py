"""What `train` hands back: the parameters, how far the walk came, and why one may say so."""

from __future__ import annotations

import os
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .errors import NotAMinimumError
from .presentation.text import counted, headed, number, sizes_of, table, wrapped
from .results import to_json

if TYPE_CHECKING:
    from .training.verdict import TrainVerdict
    from .training.watching import History


@dataclass
class TrainResult:
    """What training came to.

    `params`: the final parameters, NumPy, in the structure given. `cost`: measured on `rows` fresh rows at the end; the
    mean over the last steps where a generator has none left (`rows` is 0). `verdict`: how far it came; `message` says
    it in a sentence, `evidence` what was measured, `next_step` what would bring
    more. `history`: rows of the run, and the cost of every step. `plan`: the
    method, its rate, and why; `rate_left`: the part of that rate that was left at the end, below 1 where trouble or a
    viewer of the run cut it. `events`: what happened on the way. `waited`: seconds the loop waited for data.
    """

    params: Any
    cost: float
    rows: int
    verdict: TrainVerdict
    success: bool
    message: str
    next_step: str
    evidence: tuple[Any, ...]
    history: History
    plan: Any
    names: tuple[str, ...]
    arrays: tuple[np.ndarray, ...]
    steps: int
    epochs: float
    examples: int
    seconds: float
    ended: str
    validation: float | None
    precision: str
    processes: int
    devices: int
    batch_size: int
    label: str
    waited: float
    events: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    timing: dict[str, float] = field(default_factory=dict)
    rate_left: float = 1.0

    def save(self, path: str | Path) -> None:
        """Write the parameters into an .npz file under their names; raises `OSError` where the disk does.

        A file of that name stays as it is until the new one is whole.
        """
        whole = Path(path) if str(path).endswith(".npz") else Path(f"{path}.npz")
        partial = whole.with_name(f".{whole.name}.{os.getpid()}.partial")
        try:
            # As `numpy.savez` does, which takes no array named "file".
            with zipfile.ZipFile(partial, "w") as archive:
                for name, array in zip(self.names, self.arrays, strict=True):
                    with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                        np.lib.format.write_array(member, array, allow_pickle=False)
            partial.replace(whole)
        except BaseException:
            partial.unlink(missing_ok=True)
            raise

    def raise_if_failed(self) -> TrainResult:
        """Return the result; raise `NotAMinimumError` if the run blew up or learned its examples by heart."""
        if not self.success:
            raise NotAMinimumError(f"{self.verdict}: {self.message}", self)
        return self

    def __str__(self) -> str:
        aside = "" if self.validation is None else f", validation {number(self.validation)}"
        head = f"{self.verdict}: cost {number(self.cost)}{aside}"
        head = headed(f"{head}  (", self.label, ")") if self.label else head
        lines = [head, *wrapped(self.message, "  "), ""]
        sizes = sizes_of(self)
        lines += table([("parameters", "shape", "root mean square"), *sizes], "<>>")
        if len(self.names) > len(sizes):
            lines.append(f"  and {counted(len(self.names) - len(sizes), 'more array')}")
        lines += ["", "  why"]
        lines += [f"    {line}" for item in self.evidence for line in _evidence(item)]
        lines += ["", "  how", *wrapped(self._how())]
        for remark in (*self.remarks, *self.events):
            lines += wrapped(remark)
        if self.next_step:
            lines += ["", "  next", *wrapped(self.next_step)]
        return "\n".join(lines)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        from .presentation.cards import training_card

        return training_card(self)

    def _how(self) -> str:
        plan = self.plan
        rate = "" if plan.rate is None else f" at rate {number(plan.rate, 3)}"
        fall = (
            ""
            if plan.schedule == "constant"
            else f", falling to zero ({plan.schedule})"
            if isinstance(plan.schedule, str)
            else ""
        )
        because = f", {plan.because}" if plan.because else ""
        if self.rate_left != 1.0:
            least = (
                f"{number(self.rate_left, 3)} of its own"
                if plan.rate is None
                else number(plan.rate * self.rate_left, 3)
            )
            because += f", cut to {least} on the way"
        epochs = f"{self.epochs:.3g}"
        # That of the last row, where the compiler has done its part; a short run has none.
        last = self.history.rows[-1].examples_per_second if self.history.rows else 0.0
        speed = f" ({float(f'{last:.3g}'):,.0f} rows/s at the end)" if last > 0 else ""
        return (
            f"{plan.in_words}{rate}{fall}{because}; {counted(self.steps, 'step')} of "
            f"{counted(self.batch_size, 'row')}, {epochs} epoch{'' if epochs == '1' else 's'}, "
            f"{self.seconds:.1f} s{speed}; {self.precision}; {self.ended}"
        )

    def to_dict(self) -> dict[str, Any]:
        """The result as plain JSON values, without the arrays themselves; what is not finite becomes None."""
        last = self.history.rows[-1].to_dict() if self.history.rows else None
        found = {
            key: getattr(self, key)
            for key in (
                "verdict",
                "success",
                "message",
                "next_step",
                "cost",
                "rows",
                "steps",
                "epochs",
                "examples",
                "seconds",
                "ended",
                "validation",
                "precision",
                "processes",
                "devices",
                "batch_size",
                "waited",
                "events",
                "remarks",
                "timing",
                "rate_left",
            )
        }
        found["evidence"] = [item.to_dict() for item in self.evidence]
        found["plan"] = self.plan.to_dict()
        found["last"] = last
        found["parameters"] = {
            name: list(array.shape) for name, array in zip(self.names, self.arrays, strict=True)
        }
        return {key: to_json(value) for key, value in found.items()}


def _evidence(item: Any) -> list[str]:
    measured = "" if item.measured is None else f" {number(item.measured, 3)}"
    limit = "" if item.limit is None else f" (limit {number(item.limit, 3)})"
    first, *rest = wrapped(
        f"{'holds' if item.holds else 'fails'}  {item.name}{measured}{limit}  {item.how}", ""
    )
    return [first, *(f"       {line}" for line in rest)]
