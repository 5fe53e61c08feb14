"""What can go wrong before or while a cost is read: one class for each kind, all under `SteepestError`."""


class SteepestError(Exception):
    """Base of every error steepest raises on purpose."""


class InputError(SteepestError, ValueError):
    """An argument cannot be used; raised before the cost is first evaluated."""


class ExpressionError(InputError):
    """An expression string does not follow the grammar; the message points at the character.

    Attributes: `text`, the expression; `position`, the 0-based index of the offending character.
    """

    def __init__(self, message: str, text: str, position: int) -> None:
        self.text = text
        self.position = position
        self.reason = message
        shown, column = _surroundings(text, position)
        super().__init__(f"{message}\n  {shown}\n  {' ' * column}^")


# Letters of a long expression that are shown before and after the place of an error.
BEFORE, AFTER = 60, 30


def _surroundings(text: str, position: int) -> tuple[str, int]:
    """The part of `text` around `position` on one line, and the column where that position stands in it."""
    start, end = max(0, position - BEFORE), position + AFTER
    shown = "".join(character if character.isprintable() else " " for character in text[start:end])
    left, right = "…" if start > 0 else "", "…" if end < len(text) else ""
    return left + shown + right, position - start + len(left)


class TracingError(SteepestError, TypeError):
    """The cost does something one trace cannot follow; the message says where and what to write instead."""


class MissingDependencyError(SteepestError, ImportError):
    """A package that only this feature needs is not installed; the message names the extra to install."""


class NotAMinimumError(SteepestError, RuntimeError):
    """Raised by `Result.raise_if_failed()` when the verdict is not a minimum. Attribute: `result`."""

    def __init__(self, message: str, result: object) -> None:
        self.result = result
        super().__init__(message)
