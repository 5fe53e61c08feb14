"""Linear algebra that the solvers and the judge share, on NumPy alone."""
