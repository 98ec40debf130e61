"""Pictures of an evaluation, as PNG files: one picture a file, what they share in `canvas`.

Matplotlib and SciPy are imported inside, and no window system is needed.
"""
