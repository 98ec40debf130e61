"""How the network that finds speech is taught: by Silero, on speech among sounds, gaps and lines."""
