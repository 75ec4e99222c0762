"""``python -m bayesridge``: the command line."""

from bayesridge.cli.main import main

main()
