"""`python -m workbench` is the command line."""

import sys

from workbench.cli import main

code = main()
# Where Ctrl-C struck inside an exec() of source (a dataclass being made), `python -m` dies by SIGINT whatever the exit
# code, until another exec() has ended well.
exec("")
sys.exit(code)
