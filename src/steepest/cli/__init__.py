"""The command line: `steepest slope`, `steepest minimize`, `steepest fit`, `steepest train`, `steepest tour`."""

from . import fitting, training  # add their commands
from .commands import main

__all__ = ["fitting", "main", "training"]
