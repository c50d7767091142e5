"""Options of ``bayes-softmax fit`` for the logits of a neural network."""

import argparse
from typing import Any

import bayes_softmax as bs

ACTIVATIONS = ("tanh", "relu", "gelu", "softplus")  # `--help` loads no SciPy
LAYERS = ("all", "last")
# Options beside --hidden, with the methods that they are for; None is every method.
BESIDE: dict[str, tuple[str, ...] | None] = {
    "activation": None,
    "skip": None,
    "layers": ("sample",),
    "restarts": ("map", "mle"),
    "members": ("ensemble",),
}


def add_network_options(command: argparse.ArgumentParser) -> None:
    """Add the options of a network in a group of their own."""
    group = command.add_argument_group("neural network")
    group.add_argument(
        "--hidden", type=int, nargs="+", metavar="UNITS", help="units of each hidden layer, for example 50 20"
    )
    group.add_argument("--activation", choices=ACTIVATIONS, help="of every hidden unit (default tanh)")
    group.add_argument("--skip", action="store_true", default=None, help="add the linear logits to the network's")
    group.add_argument(
        "--layers",
        choices=LAYERS,
        help="layers that sample draws; last holds the others at the mode (default: all up to 500 weights and biases)",
    )
    group.add_argument("--restarts", type=int, metavar="N", help="random starts of map and mle (default: by size)")
    group.add_argument("--members", type=int, metavar="N", help="modes of an ensemble (default 5)")


def check_network_options(options: argparse.Namespace) -> None:
    """Raise for options that need a network, or another method, and for a table that a network does not have."""
    for name, methods in BESIDE.items():
        if getattr(options, name) is None:
            continue
        if options.hidden is None:
            raise ValueError(f"--{name} is for a neural network; name its hidden layers too, as --hidden 50")
        if methods is not None and options.method not in methods:
            raise ValueError(f"--{name} has no meaning for --method {options.method}")
    if options.hidden is None:
        if options.method == "ensemble":
            raise ValueError("--method ensemble is for a neural network, which has many modes; add --hidden 50")
        return
    for name in ("vs", "intervals"):
        if getattr(options, name) is not None:
            raise ValueError(
                f"--{name} has no meaning beside --hidden: the table of a network lists its layers, not coefficients"
            )


def logits_of(options: argparse.Namespace) -> "bs.MLP | None":  # in quotes: SciPy is loaded with it
    """The network of the options, None for linear logits."""
    if options.hidden is None:
        return None
    given: dict[str, Any] = {name: getattr(options, name) for name in ("activation", "skip")}
    return bs.MLP(options.hidden, **{name: value for name, value in given.items() if value is not None})
