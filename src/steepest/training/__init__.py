"""Training: minibatches, update rules, watching, checkpoints and many devices, behind the call `train`."""
