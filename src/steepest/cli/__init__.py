"""The command line: `steepest slope`, `steepest minimize`, `steepest tour`."""

from .commands import main

__all__ = ["main"]
