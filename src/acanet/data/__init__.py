"""Recordings and who speaks in them: manifests, corpora, trials, synthetic voices."""
