"""`python -m workbench`, and the installed `workbench`: the command line, and Ctrl-C from the first import on."""

import sys


def main() -> int:
    """The exit code of the command asked for; 130 where it was interrupted."""
    try:
        from workbench import cli  # most of the first half second

        code = cli.main()
    except KeyboardInterrupt:
        print("error: interrupted", file=sys.stderr)
        code = 130
    # Where Ctrl-C struck inside an exec() of source (a dataclass being made), `python -m` dies by SIGINT whatever the
    # exit code, until another exec() has ended well.
    exec("")
    return code


if __name__ == "__main__":
    sys.exit(main())
