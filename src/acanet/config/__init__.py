"""What files say: strict configs, and settings laid over them."""
