"""``python -m bayes_softmax`` is the command line."""

import sys

from bayes_softmax.cli import main

sys.exit(main())
