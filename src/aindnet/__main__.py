"""`python -m aindnet` is the `aindnet` program."""

from aindnet.commands.app import main

main()
