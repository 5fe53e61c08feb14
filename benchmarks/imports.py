"""Wall time of whole processes: `import steepest` and a command-line call beside Python and NumPy."""

import sys
from statistics import median

from .processes import in_turn, wall_time

ROUNDS = 11

PROCESSES: dict[str, list[str]] = {
    "`python -c pass`": ["-c", "pass"],
    "`import numpy`": ["-c", "import numpy"],
    "`import steepest`": ["-c", "import steepest"],
    '`steepest slope "x**2 - 2*x + 3" --at -1,1,3 --json`': [
        *("-c", "import sys; from steepest.cli import main; sys.exit(main())"),
        *("slope", "x**2 - 2*x + 3", "--at", "-1,1,3", "--json"),
    ],
}
PEERS: dict[str, list[str]] = {
    "`import scipy.optimize`": ["-c", "import scipy.optimize"],
    "`import jax`": ["-c", "import jax"],
    "`import optimistix`": ["-c", "import optimistix"],
}


def table(peers: bool) -> tuple[list[str], list[list[object]], str]:
    """Median wall time of each process, and its ratio to NumPy's import."""
    processes = PROCESSES | (PEERS if peers else {})
    measurements = {
        name: (lambda arguments=arguments: wall_time([sys.executable, *arguments]))
        for name, arguments in processes.items()
    }
    in_turn(measurements, 1)  # files into the cache, bytecode written
    times = in_turn(measurements, ROUNDS)
    of_numpy = median(times["`import numpy`"])
    rows: list[list[object]] = [
        [
            name,
            1e3 * median(taken),
            1e3 * min(taken),
            median(taken) / of_numpy,
            1e3 * (median(taken) - of_numpy),
        ]
        for name, taken in times.items()
    ]
    header = ["process", "median ms", "least ms", "× import numpy", "beyond NumPy ms"]
    return header, rows, f"{ROUNDS} processes of each, taking turns, after one that is not counted."
