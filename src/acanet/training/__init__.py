"""Manifest and recipe -> trained model."""
