"""Whether somebody talks in a recording, for how long, and where."""
