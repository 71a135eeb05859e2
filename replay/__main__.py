"""``python -m replay``: the command line."""

from replay.cli import main

if __name__ == "__main__":
    main(prog_name="replay")
