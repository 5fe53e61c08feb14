"""Published collections of minimisations, written from the formulas of the papers as plain NumPy; a table for each."""

from . import andrei, bounded, classics, energies, fits, more_garbow_hillstrom
from .terms import Problem

# Title on the page to problems.
TABLES: dict[str, dict[str, Problem]] = {
    "Moré, Garbow & Hillstrom": more_garbow_hillstrom.PROBLEMS,
    "Andrei": andrei.PROBLEMS,
    "fields and particles": energies.PROBLEMS,
    "fits": fits.PROBLEMS,
    "classics": classics.PROBLEMS,
    "between bounds": bounded.PROBLEMS,
}
PROBLEMS: dict[str, Problem] = {name: p for table in TABLES.values() for name, p in table.items()}
