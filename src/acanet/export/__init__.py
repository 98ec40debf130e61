"""From a torch model to a bundle that runs without torch."""
