"""`python -m acanet` is `acanet`."""

from acanet.cli import main

if __name__ == "__main__":
    main()
