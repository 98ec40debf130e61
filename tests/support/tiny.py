"""A model that trains in seconds, and who it is trained on."""

TRAINED, HELD_OUT = ("s000", "s001", "s002", "s003"), ("s004", "s005")
TINY_MODEL = {
    "frames": {"channels": 16, "hidden": 16, "dilations": [1, 2]},
    "aggregator": {"latents": 4, "heads": 2, "mlp": 16},
    "head": {"dim": 16},
}
