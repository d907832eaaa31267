"""`python -m tianjing` is the `tianjing` command."""

from tianjing.cli import main

main()
