"""`python -m tha4_core.weights pack FOLDER OUT`."""

import sys

from .pack import main

sys.exit(main(sys.argv[1:]))
