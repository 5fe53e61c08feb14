"""A problem posed as `minimize` does when it is asked for nothing besides."""

from steepest.budget import Budget
from steepest.problem import pose


def posed(cost, start, **options):
    """The `Problem` of `cost` begun at `start`; `options` as the keywords of `pose`."""
    asked = {
        "jac": None,
        "hess": None,
        "bounds": None,
        "fixed": None,
        "derivatives": "auto",
        "budget": Budget(),
    }
    return pose(cost, start, (), **asked | options)
