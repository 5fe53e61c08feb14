"""From a NumPy function or an expression to a jaxpr."""
