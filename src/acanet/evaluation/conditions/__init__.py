"""Error rates by condition."""
