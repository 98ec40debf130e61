"""`python -m acanet` is `acanet`."""

from acanet.cli import program

if __name__ == "__main__":
    program()
