"""What may happen to speech between a mouth and a model."""
