"""Tables of what steepest costs beside its peers: `python -m benchmarks NAME [--peers]`."""
