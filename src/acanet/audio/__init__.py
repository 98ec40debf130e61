"""From any source to checked mono blocks at the rate that a model wants."""
