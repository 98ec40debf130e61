"""Trial lists drawn from a manifest."""
