"""The command line: `steepest slope`, `steepest minimize`, `steepest train`, `steepest tour`."""

from . import training  # adds its command
from .commands import main

__all__ = ["main", "training"]
