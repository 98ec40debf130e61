"""Batches for training, from decoded audio."""
