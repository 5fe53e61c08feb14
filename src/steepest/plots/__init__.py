"""Pictures of slopes and results, drawn with Matplotlib; nothing is imported before the first one is drawn."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .canvas import save
    from .compare_picture import compare
    from .convergence_picture import convergence
    from .correlation_picture import correlation
    from .descent_picture import descent
    from .fit_picture import fit, residuals
    from .landscape_picture import landscape
    from .profile_picture import profile, region
    from .slope_picture import slope
    from .sparsity_picture import sparsity

__all__ = [
    "compare",
    "convergence",
    "correlation",
    "descent",
    "fit",
    "landscape",
    "profile",
    "region",
    "residuals",
    "save",
    "slope",
    "sparsity",
]

WHERE = {
    "compare": ".compare_picture",
    "convergence": ".convergence_picture",
    "correlation": ".correlation_picture",
    "descent": ".descent_picture",
    "fit": ".fit_picture",
    "landscape": ".landscape_picture",
    "profile": ".profile_picture",
    "region": ".profile_picture",
    "residuals": ".fit_picture",
    "save": ".canvas",
    "slope": ".slope_picture",
    "sparsity": ".sparsity_picture",
}


def __getattr__(name: str) -> Any:
    if name not in WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = getattr(import_module(WHERE[name], __name__), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
