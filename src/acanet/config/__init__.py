"""What is shared in files: strict configs, settings over them, files that are written whole or read with bounds."""
