"""From embeddings to decisions, in numpy alone."""
