"""Torch modules: waveform -> embedding."""
