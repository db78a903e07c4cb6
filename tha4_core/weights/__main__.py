"""`python -m tha4_core.weights pack FOLDER OUT`."""

import sys

from ..teacher.pipeline import Teacher
from .pack import main

sys.exit(main(sys.argv[1:], Teacher.shapes()))
