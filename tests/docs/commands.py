"""Runs `steepest` commands, each in a process of its own, forked from one that has imported what they need.

A line of JSON on standard input says which command, where, and where its output goes; the answer is its exit status.
Most of what a short command takes is importing. Nothing has run here before the fork, and no device was started.
"""

import importlib
import json
import os
import signal
import sys
import traceback

import steepest.cli

SHARED = (
    "jax.numpy matplotlib.figure scipy.optimize sympy "
    "steepest.minimize steepest.solvers.choice steepest.verdict.judge"
)
for name in SHARED.split():
    importlib.import_module(name)

# Seconds. What has not ended by then waits for something that does not come.
PATIENCE = 300


def run(words, folder, out, err):
    """The command, as the shell would run it; never returns."""
    signal.alarm(PATIENCE)  # ends this process
    status = 70  # none that the command knows
    try:
        os.chdir(folder)
        for number, path in ((1, out), (2, err)):
            os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        sys.argv = ["steepest", *words]
        status = steepest.cli.main()
        sys.stdout.flush()
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(status)


if __name__ == "__main__":
    for line in sys.stdin:
        given = json.loads(line)
        child = os.fork()
        if child == 0:
            run(**given)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
