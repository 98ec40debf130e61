"""Error rates and costs, with their intervals."""
