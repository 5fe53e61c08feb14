"""Helper functions that a cost under test calls from another module."""

import math
from math import exp

import numpy as np
from numpy import zeros


def squared_distance(p, target):
    total = 0.0
    for v in p:
        total += (v - target) ** 2
    return total


def made_inside(p):
    out = zeros(2)
    out[0] = exp(p[0])
    return out.sum()


class Decay:
    """A model with state, as people write them."""

    steepness = 2.0

    def __init__(self, amplitude):
        self.amplitude = amplitude

    def at(self, t):
        out = np.zeros(len(t))
        for k, moment in enumerate(t):
            out[k] = self.amplitude * math.exp(-self.steepness * moment)
        return out


class ShiftedDecay(Decay):
    def __init__(self, amplitude, shift):
        super().__init__(amplitude)
        self.shift = shift

    def at(self, t):
        return super().at(t) + math.sin(self.shift)
