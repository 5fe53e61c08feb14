"""Constraints: how people write them, and the rows of functions with limits that a solver sees."""
