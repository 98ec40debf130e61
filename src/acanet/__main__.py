"""`python -m acanet` is `acanet`."""

from acanet.cli import main

main()
