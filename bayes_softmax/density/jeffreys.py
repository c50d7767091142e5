r"""The likelihood with Jeffreys' prior: Firth's penalised likelihood, whose maximum has less bias and always exists.

.. math:: \ell^*(\theta) = \log L(\theta) + \tfrac12 \log\det I(\theta)

With class probabilities :math:`p_i` and :math:`S_i = \mathrm{diag}(p_i) - p_i p_i'`, the Fisher information is
:math:`I = \sum_i n_i S_i \otimes z_i z_i'`, for softmax the Hessian of minus the log-likelihood.  Only :math:`S_i`
depends on the logits, so with the hat-like matrix :math:`Q_i` (K, K), :math:`Q_{i,kl} = z_i' (I^{-1})_{kl} z_i`,

.. math:: \frac{\partial}{\partial \eta_{ic}} \tfrac12 \log\det I
          = \tfrac{n_i}{2} \frac{\partial}{\partial \eta_{ic}} \mathrm{tr}(Q_i S_i)
          = \tfrac{n_i}{2}\, p_{ic} \bigl(h_{ic} - p_i' h_i\bigr), \qquad h_i = \mathrm{diag}(Q_i) - 2 Q_i p_i,

with :math:`Q_i` held fixed: no third derivatives are formed.  For two classes this is Firth's score,
:math:`y - p + h (1/2 - p)`.  Firth, *Biometrika* 80 (1993); Bull, Mak and Greenwood, *Comput. Stat. Data Anal.* 39
(2002); for finiteness of the maximum, Kosmidis and Firth, *Biometrika* 108 (2021).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.linalg import LinAlgError, cholesky, solve_triangular

from bayes_softmax.core.records import BlockMetric, FloatArray, LowRankMetric, Whitening
from bayes_softmax.density.posterior import SoftmaxPosterior
from bayes_softmax.spec.coding import Coordinates


@dataclass(frozen=True, eq=False)
class JeffreysPosterior:
    """Log-likelihood plus half the log determinant of the Fisher information: a ``LogDensity`` to maximise.

    ``hessian`` and ``metric`` are the Fisher information, used for Fisher scoring and for standard errors.  It differs
    from the Hessian of minus this density by terms that do not grow with N.
    """

    likelihood: SoftmaxPosterior

    @property
    def coordinates(self) -> Coordinates:
        """Linear maps between free, engine and raw coordinates."""
        return self.likelihood.coordinates

    @property
    def dimension(self) -> int:
        """Number of free coordinates d."""
        return self.likelihood.dimension

    @property
    def total_weight(self) -> float:
        """Number of observations, with their weights."""
        return self.likelihood.total_weight

    @property
    def work(self) -> float:
        """Number of multiplications of one evaluation: the information, and quadratic forms with its inverse."""
        return self.likelihood.work + 3 * self.likelihood.hessian_work

    @property
    def hessian_work(self) -> float:
        """Number of multiplications of one Fisher information."""
        return self.likelihood.hessian_work

    @property
    def definite(self) -> bool:
        """False, since the information is singular with collinear features."""
        return False

    def value(self, theta: FloatArray) -> float:
        """Penalised log-likelihood at ``theta`` (d,); minus infinity where the information is singular."""
        return self.likelihood.value(theta) + self.log_prior(theta)

    def values(self, thetas: FloatArray) -> FloatArray:
        """Penalised log-likelihood at many points (S, d)."""
        return np.array([self.value(theta) for theta in thetas])

    def log_prior(self, theta: FloatArray) -> float:
        """Half the log determinant of the information on the *raw* free coordinates."""
        factor = self._factor(theta)
        return -np.inf if factor is None else self._half_log_determinant(factor)

    def value_gradient(self, theta: FloatArray) -> tuple[float, FloatArray]:
        """Penalised log-likelihood and its gradient (d,); the likelihood's gradient if the information is singular."""
        value, gradient = self.likelihood.value_gradient(theta)
        factor = self._factor(theta)
        if factor is None:
            return -np.inf, gradient
        return value + self._half_log_determinant(factor), gradient + self._penalty_gradient(theta, factor)

    def hessian(self, theta: FloatArray) -> FloatArray:
        """Fisher information (d, d)."""
        return self.likelihood.hessian(theta)

    def metric(self, theta: FloatArray) -> FloatArray:
        """Fisher information (d, d)."""
        return self.likelihood.metric(theta)

    def hessian_vector(self, theta: FloatArray, *, convex: bool = True) -> Callable[[FloatArray], FloatArray]:
        """A function that multiplies a vector by the information."""
        return self.likelihood.hessian_vector(theta, convex=convex)

    def low_rank_metric(self, theta: FloatArray) -> LowRankMetric | None:
        """Approximation of the information where there are more features than rows."""
        return self.likelihood.low_rank_metric(theta)

    def block_metric(self, theta: FloatArray) -> BlockMetric | None:
        """Kronecker approximation of the information."""
        return self.likelihood.block_metric(theta)

    def native(self, whitening: Whitening) -> None:
        """None: this density is only maximised."""

    def _factor(self, theta: FloatArray) -> FloatArray | None:
        """Lower Cholesky factor of the information, None if it is singular."""
        information = self.likelihood.hessian(theta)
        if not np.isfinite(information).all():
            return None
        try:
            factor: FloatArray = cholesky(information, lower=True)
        except LinAlgError:
            return None
        return factor

    def _half_log_determinant(self, factor: FloatArray) -> float:
        return float(np.log(np.diag(factor)).sum()) - self.coordinates.log_jacobian

    def _penalty_gradient(self, theta: FloatArray, factor: FloatArray) -> FloatArray:
        """Gradient (d,) of half the log determinant; see the formula at the top of the module."""
        coordinates = self.coordinates
        K, q = coordinates.n_classes, coordinates.n_columns
        roots = coordinates.to_engine(solve_triangular(factor, np.eye(self.dimension), lower=True)).reshape(-1, K * q)
        inverse = (roots.T @ roots).reshape(K, q, K * q)
        gradient = np.zeros((K, q))
        for Z, counts, totals in self.likelihood.expected_rows(theta):
            p = np.divide(counts, totals, out=np.zeros_like(counts), where=counts > 0)
            Q = np.stack([((inverse[k].T @ Z).reshape(K, q, -1) * Z).sum(axis=1) for k in range(K)])
            h = np.einsum("kki->ki", Q) - 2.0 * np.einsum("kli,li->ki", Q, p)
            gradient += (0.5 * counts * (h - (p * h).sum(axis=0))) @ Z.T
        return coordinates.pull_back(gradient)
