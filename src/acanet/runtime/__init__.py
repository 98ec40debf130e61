"""From a bundle and a waveform to embeddings, on onnxruntime."""
