"""Where the network that finds speech is, as it was taught: its weights, and its graphs for onnxruntime."""

from pathlib import Path

FOLDER = Path(__file__).parent / "taught"
WEIGHTS = FOLDER / "weights.npz"
