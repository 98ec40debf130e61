"""Configs: strict ones, as files hold them, and settings laid over them."""
