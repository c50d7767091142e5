"""Compile what most tests need, before they start: ``python -m tests.warm``.

Two workers that meet a function at the same time would both compile it.  Two processes compile different ones here.
"""

import subprocess
import sys

DATA = """
import numpy as np, pandas as pd, bayes_softmax as bs
rng = np.random.default_rng(0)
data = pd.DataFrame({"x": rng.normal(size=90), "y": rng.choice(list("abc"), 90)})
data["g"], data["s"] = np.arange(90) % 30, np.arange(90) % 10
quiet = {"draws": 10, "tune": 10, "chains": 1, "random_seed": 1, "progressbar": False}
model = bs.SoftmaxRegression.from_formula
"""
OF_MODELS = """
model("y ~ x", data).map()
model("y ~ x", data).sample(engine="nuts", **quiet)
model("y ~ x", data, prior=bs.Normal(scale=bs.HalfNormal(1))).sample(**quiet)
net = model("y ~ x", data, logits=bs.MLP(hidden=2))
net.map(restarts=1)
net.sample(layers="all", **quiet)
"""
OF_GROUPS = """
for terms in ("(1 | g)", "(1 | g) + (1 | s)"):
    grouped = model("y ~ x + " + terms, data)
    grouped.sample(**quiet)
    grouped.mle()
"""


def main() -> int:
    """Run both; what they print is not of interest, and a failure is for the tests to show."""
    started = [
        subprocess.Popen([sys.executable, "-W", "ignore", "-c", DATA + own], stderr=subprocess.DEVNULL)
        for own in (OF_MODELS, OF_GROUPS)
    ]
    for process in started:
        process.wait()
    return 0


if __name__ == "__main__":
    sys.exit(main())
