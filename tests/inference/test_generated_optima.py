"""Generated models: no certified optimum that an independent optimiser improves by 1e-8 relative.

The oracle is plain NumPy in coordinates of its own: columns orthogonalised by QR, the whole log posterior from its
formula, SciPy's trust-region Newton and then Newton steps of its own until they gain nothing.
"""

import warnings
from typing import Any, NamedTuple

import numpy as np
import pytest
from scipy.optimize import minimize

import bayes_softmax as bs
from bayes_softmax.spec.coding import contrast_matrix

IMPROVEMENT = 1e-8  # relative


class Case(NamedTuple):
    """A model, how it is maximised, and the oracle's description of it."""

    model: bs.SoftmaxRegression
    kind: str
    Y: np.ndarray  # (N, K) weighted counts
    offset: np.ndarray
    prior_sd: np.ndarray | None  # (p,) of the weights; None for flat
    intercept_sd: float | None  # None for flat
    intercept_at_zero: bool


def generate(seed: int) -> Case:
    rng = np.random.default_rng(seed)
    N, p, K = int(rng.integers(5, 120)), int(rng.integers(1, 12)), int(rng.integers(2, 6))
    if rng.random() < 0.25:
        N, p = int(rng.integers(4, 12)), int(rng.integers(12, 30))
    X = rng.normal(size=(N, p)) * 10.0 ** rng.uniform(-6, 9, p) ** (rng.random() < 0.7)
    if rng.random() < 0.5:
        X = X + X.std(axis=0) * rng.choice([0.0, 3.0, 300.0], p)
    intercept = bool(rng.random() < 0.75)
    kind = str(rng.choice(["map", "map", "mle"]))
    coding = str(rng.choice(["zero-sum", "reference", "full"]))
    classes = np.r_[np.arange(K), rng.integers(0, K, N)][:N] if N >= K else np.arange(N)
    K = int(classes.max()) + 1
    weights = None if rng.random() < 0.5 else rng.choice([1e-3, 1.0, 2.5, 1e3], N)
    counts = rng.random() < 0.3
    Y = rng.integers(0, 4, (N, K)).astype(float) + np.eye(K)[classes] if counts else np.eye(K)[classes]
    offset = None if rng.random() < 0.6 else rng.normal(size=(N, K)) * rng.choice([0.5, 10.0, 300.0])
    options: dict[str, Any] = {"weights": weights, "offset": offset, "coding": coding, "intercept": intercept}
    prior_sd: np.ndarray | None = None
    intercept_sd, at_zero = None, False
    if kind == "map":
        prior_sd = 10.0 ** rng.uniform(-2, 1, p) / X.std(axis=0)
        options["prior"] = {f"x{j}": bs.Normal(float(s)) for j, s in enumerate(prior_sd)}
        intercept_sd = 1.5
        if intercept and rng.random() < 0.5:
            intercept_sd, at_zero = float(rng.choice([0.5, 5.0])), True
            options["intercept_prior"] = bs.Normal(intercept_sd)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = bs.SoftmaxRegression(X, Y if counts else classes, **options)
    weighted = Y * (1.0 if weights is None else weights[:, None])
    return Case(model, kind, weighted, np.zeros((N, K)) if offset is None else offset, prior_sd, intercept_sd, at_zero)


class Oracle:
    """The log posterior in a basis of its own: free coordinates (columns, classes) of ``Q`` with ``Z = Q R``."""

    def __init__(self, case: Case) -> None:
        model, X = case.model, case.model._spec.design.X
        self.Y, self.offset, self.N = case.Y, case.offset, len(X)
        K = case.Y.shape[1]
        coding = "zero-sum" if case.kind == "mle" and model._spec.schema.coding == "full" else model._spec.schema.coding
        self.C = contrast_matrix(coding, K)
        weights = case.Y.sum(axis=1)
        if model._spec.design.has_intercept:
            mean = weights @ X / weights.sum()
            self.Z = np.column_stack([np.ones(self.N), (X - mean) / X.std(axis=0)])
        else:
            mean, self.Z = np.zeros(X.shape[1]), X / X.std(axis=0)
        # Rows of P are what has a normal prior, in units of its sd.
        rows = []
        if case.prior_sd is not None:
            first = int(model._spec.design.has_intercept)
            q = self.Z.shape[1]
            for j, sd in enumerate(case.prior_sd):
                rows.append(np.eye(q)[first + j] / (sd * X.std(axis=0)[j]))
            if first:
                row = np.eye(q)[0]
                if case.intercept_at_zero:
                    row[1:] = -mean / X.std(axis=0)
                rows.append(row / case.intercept_sd)
        self.P = np.array(rows).reshape(len(rows), self.Z.shape[1])
        scale = np.sqrt((self.Z**2 * weights[:, None]).sum(axis=0) + (self.P**2).sum(axis=0))
        _, s, Vt = np.linalg.svd(np.vstack([self.Z * np.sqrt(weights)[:, None], self.P]) / scale, full_matrices=False)
        self.basis = (Vt.T / np.maximum(s, 1e-12 * s[0])) / scale[:, None]
        self.A, self.B = self.Z @ self.basis, self.P @ self.basis

    def log_likelihood(self, logits: np.ndarray) -> tuple[float, np.ndarray]:
        eta = logits + self.offset
        eta = eta - eta.max(axis=1, keepdims=True)
        log_p = eta - np.log(np.exp(eta).sum(axis=1, keepdims=True))
        return float(self.Y.ravel() @ log_p.ravel()), np.exp(log_p)

    def value_gradient(self, t: np.ndarray) -> tuple[float, np.ndarray]:
        T = t.reshape(-1, self.C.shape[1])
        value, p = self.log_likelihood(self.A @ T @ self.C.T)
        held = self.B @ T
        gradient = self.A.T @ (self.Y - self.Y.sum(axis=1, keepdims=True) * p) @ self.C - self.B.T @ held
        return value - 0.5 * float((held**2).sum()), gradient.ravel()

    def hessian(self, t: np.ndarray) -> np.ndarray:
        T = t.reshape(-1, self.C.shape[1])
        _, p = self.log_likelihood(self.A @ T @ self.C.T)
        S = np.einsum("nk,kl->nkl", p, np.eye(p.shape[1])) - p[:, :, None] * p[:, None]
        S = np.einsum("ka,nkl,lb->nab", self.C, S * self.Y.sum(axis=1)[:, None, None], self.C)
        H = np.einsum("ni,nab,nj->iajb", self.A, S, self.A, optimize=True)
        H += np.einsum("ij,ab->iajb", self.B.T @ self.B, np.eye(self.C.shape[1]))
        return H.reshape(len(t), len(t))

    def at(self, found: bs.PointEstimate, case: Case) -> float:
        """The log posterior of an estimate, up to the constant that :meth:`value_gradient` leaves out too."""
        X = case.model._spec.design.X
        W, b = found.weights.values, found.intercept.values
        centre = X.mean(axis=0) if case.model._spec.design.has_intercept else np.zeros(X.shape[1])
        value, _ = self.log_likelihood((X - centre) @ W + (b + centre @ W))
        engine = W * X.std(axis=0)[:, None]
        if case.model._spec.design.has_intercept:
            weights = case.Y.sum(axis=1)
            engine = np.vstack([b + (weights @ X / weights.sum()) @ W, engine])
        free = engine @ np.linalg.pinv(self.C).T
        return value - 0.5 * float(((self.P @ free) ** 2).sum())

    def best(self) -> float:
        t = np.zeros(self.A.shape[1] * self.C.shape[1])

        def negative(t: np.ndarray) -> tuple[float, np.ndarray]:
            value, gradient = self.value_gradient(t)
            return -value, -gradient

        for method, options in (
            ("trust-exact", {"gtol": 1e-9, "maxiter": 300}),
            ("L-BFGS-B", {"ftol": 0, "gtol": 1e-10}),
        ):
            hess = {"hess": self.hessian} if method == "trust-exact" else {}
            found = minimize(negative, t, jac=True, method=method, options=options, **hess)
            t = found.x if -found.fun >= self.value_gradient(t)[0] else t
        for _ in range(20):
            value, gradient = self.value_gradient(t)
            step = np.linalg.lstsq(self.hessian(t), gradient, rcond=1e-14)[0]
            if not self.value_gradient(t + step)[0] > value:
                break
            t = t + step
        return self.value_gradient(t)[0]


def check(seed: int) -> bool:
    """Whether the optimum of a generated model is certified; raises if it is and can be improved."""
    case = generate(seed)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", bs.NotConvergedWarning)
        found = getattr(case.model, case.kind)()
    oracle = Oracle(case)
    if found.converged:
        ours, best = oracle.at(found, case), oracle.best()
        assert best - ours <= IMPROVEMENT * max(abs(best), 1.0), (seed, best, ours, repr(found))
    return bool(found.converged)


def test_no_generated_optimum_is_improved() -> None:
    """30 models, of which most have an optimum."""
    certified = [check(seed) for seed in range(30)]
    assert sum(certified) >= 20, certified


@pytest.mark.verify
@pytest.mark.parametrize("block", range(20))
def test_no_generated_optimum_is_improved_at_length(block: int) -> None:
    certified = [check(seed) for seed in range(100 + 50 * block, 150 + 50 * block)]
    assert np.mean(certified) > 0.6
