"""Ctrl-C at a chosen evaluation."""


def pressing(evaluate, left):
    """`evaluate`, which Ctrl-C interrupts once as many evaluations as `left[0]` says were counted down."""

    def interrupted(self, *arguments):
        left[0] -= 1
        if left[0] == 0:
            raise KeyboardInterrupt
        return evaluate(self, *arguments)

    return interrupted
