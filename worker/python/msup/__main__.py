"""`python -m msup`."""

from ._cli import main

main()
