"""What programs and people share in files: strict configs, settings laid over them, files that appear whole or are read with bounds."""
