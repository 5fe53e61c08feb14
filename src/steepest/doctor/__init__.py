"""The derivative doctor: what is wrong with a cost at a point, where in the user's code, and what to write instead."""
