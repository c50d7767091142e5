"""The command line: ``bayes-softmax fit``, ``predict``, ``effects``, ``evaluate`` and ``demo``."""

from bayes_softmax.cli.entry import main

__all__ = ["main"]
