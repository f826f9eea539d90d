"""`python -m groktime` is the command `groktime`."""

import sys

from groktime.cli import main

sys.exit(main())
