"""How well the parameters are known: covariance, intervals, profiles of the cost, and words where they are not."""
