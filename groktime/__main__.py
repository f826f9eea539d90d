# PYTHON_ARGCOMPLETE_OK
"""The command `groktime`, and `python -m groktime`: signals first, since all else takes a while to import."""

import sys

try:
    from groktime.reduced import interrupt
except KeyboardInterrupt:  # within the first hundredths of a second: nothing has begun
    sys.exit(130)


def main() -> int:
    """Run the command of this process."""
    interrupt.handled("groktime")
    from groktime.cli import main as run

    return interrupt.over(run())


if __name__ == "__main__":
    sys.exit(main())
