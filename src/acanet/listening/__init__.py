"""Speech as it is spoken: microphone, pipe, decisions over time."""
