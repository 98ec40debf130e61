"""Who speaks when, simply: a demonstration of the embedding, one voice at a time.

waveform -> stretches of speech -> windows -> embeddings -> clusters -> turns
"""
