"""``python -m bayesridge``: the command line."""

from bayesridge.cli import main

main()
