r"""The inner problem of proximal Newton: a quadratic plus norms of blocks of coordinates.

.. math:: m(u) = -g'(u - \theta) + \tfrac12 (u - \theta)'H(u - \theta) + \sum_b s_b |u_b|

Sweeps over the blocks determine which are zero: with :math:`L_b` the largest eigenvalue of :math:`H_{bb}` each block
moves to the minimum of a majoriser, by soft thresholding,

.. math:: u_b \leftarrow \Bigl(1 - \frac{s_b}{|v|}\Bigr)_+ \frac{v}{L_b}, \quad v = L_b u_b - \nabla_b,

with :math:`\nabla` the gradient of the quadratic (Tseng and Yun, 2009; Friedman, Hastie and Tibshirani, *J. Stat.
Softw.* 33, 2010).  Once the zero blocks are known, the problem in the others is smooth, and Newton steps finish it.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bayes_softmax.core import compiling as nb
from bayes_softmax.core.records import FloatArray
from bayes_softmax.inference.certificate import newton_step
from bayes_softmax.inference.newton import RIDGE

SWEEPS = 5  # between Newton steps
ROUNDS = 100
DAMPING = 1e-12  # relative to the largest curvature: avoids division by zero for blocks without curvature


class PenaltyBlocks(NamedTuple):
    """Blocks of coordinates in order: ``n_free`` single coordinates without a norm, then blocks of ``size``.

    ``strengths`` are those of the latter.
    """

    n_free: int
    size: int
    strengths: FloatArray


class QuadraticModel(NamedTuple):
    """``H`` (m, m) and ``gradient`` (m,) of the log density at ``theta`` (m,), and the norms."""

    H: FloatArray
    gradient: FloatArray
    theta: FloatArray
    blocks: PenaltyBlocks


def norm_curvature(u: FloatArray, blocks: PenaltyBlocks) -> tuple[FloatArray, FloatArray]:
    r"""Gradient (m,) and Hessian (m, m) of :math:`\sum_b s_b|u_b|`, without zero blocks."""
    n_free, size, strengths = blocks
    rows = u[n_free:].reshape(-1, size)
    norms = np.linalg.norm(rows, axis=1)
    unit = rows / norms[:, None]
    slope, bend = np.zeros_like(u), np.zeros((len(u), len(u)))
    slope[n_free:] = (strengths[:, None] * unit).ravel()
    if size > 1:
        for b, (direction, amount) in enumerate(zip(unit, strengths / norms, strict=True)):
            part = slice(n_free + b * size, n_free + (b + 1) * size)
            bend[part, part] = amount * (np.eye(size) - np.outer(direction, direction))
    return slope, bend


def kkt_residual(u: FloatArray, descent: FloatArray, blocks: PenaltyBlocks) -> float:
    r"""Largest distance of ``descent``, the negative gradient of a smooth part, from the norms' subdifferential.

    :math:`|d_b - s_b u_b/|u_b||` where :math:`u_b \ne 0`, else :math:`(|d_b| - s_b)_+`; :math:`|d|` without a norm.
    """
    n_free, size, strengths = blocks
    rows, pulls = u[n_free:].reshape(-1, size), descent[n_free:].reshape(-1, size)
    norms = np.linalg.norm(rows, axis=1)
    away = norms > 0
    slope = (strengths / np.where(away, norms, 1.0))[:, None] * rows
    moving = np.linalg.norm(pulls - slope, axis=1)
    resting = np.maximum(np.linalg.norm(pulls, axis=1) - strengths, 0.0)
    return float(max(np.abs(descent[:n_free]).max(initial=0.0), np.where(away, moving, resting).max(initial=0.0)))


@nb.njit(nogil=True, cache=True, error_model="numpy")
def _sweep(H, u, descent, n_free, size, strengths, bounds, n_sweeps):  # type: ignore[no-untyped-def]
    """Sweep over the blocks, updating ``u`` and the quadratic's negative gradient ``descent`` in place."""
    m, n_blocks = u.shape[0], strengths.shape[0]
    move = np.empty(size)
    for _ in range(n_sweeps):
        for b in range(n_free + n_blocks):
            first = b if b < n_free else n_free + (b - n_free) * size
            width = 1 if b < n_free else size
            strength, bound = 0.0 if b < n_free else strengths[b - n_free], bounds[b]
            norm = 0.0
            for c in range(width):
                move[c] = bound * u[first + c] + descent[first + c]
                norm += move[c] * move[c]
            norm = np.sqrt(norm)
            shrink = 0.0 if norm <= strength else (1.0 - strength / norm) / bound
            for c in range(width):
                new = shrink * move[c]
                delta = new - u[first + c]
                u[first + c] = new
                if delta != 0.0:
                    row = H[first + c]
                    for i in range(m):
                        descent[i] -= delta * row[i]


def minimise(model: QuadraticModel, tolerance: float) -> FloatArray:
    """Minimiser (m,) of the model, to a KKT residual of ``tolerance``; exact zeros."""
    H, gradient, theta, blocks = model
    n_free, size, strengths = blocks
    H = np.ascontiguousarray(H + DAMPING * max(float(np.diag(H).max(initial=0.0)), 1.0) * np.eye(len(H)))
    diagonal = [H[part, part] for part in _block_slices(len(theta), blocks)]
    bounds = np.concatenate([np.diag(H)[:n_free], [float(np.linalg.eigvalsh(D)[-1]) for D in diagonal]])
    u, descent = theta.copy(), gradient.copy()
    for _ in range(ROUNDS):
        _sweep(H, u, descent, n_free, size, strengths, bounds, SWEEPS)
        if kkt_residual(u, descent, blocks) <= tolerance:
            break
        u = _finish(model._replace(H=H), u, descent)
        descent = gradient - H @ (u - theta)
        if kkt_residual(u, descent, blocks) <= tolerance:
            break
    return u


def _block_slices(m: int, blocks: PenaltyBlocks) -> list[slice]:
    """Slices of the blocks with a norm."""
    return [slice(first, first + blocks.size) for first in range(blocks.n_free, m, blocks.size)]


def _finish(model: QuadraticModel, u: FloatArray, descent: FloatArray) -> FloatArray:
    """A Newton step on the non-zero blocks, if it lowers the model; a block that would reverse direction becomes zero.

    ``descent`` is the negative gradient at ``u``.
    """
    n_free, size, strengths = model.blocks
    away = np.linalg.norm(u[n_free:].reshape(-1, size), axis=1) > 0
    kept = np.concatenate([np.ones(n_free, dtype=bool), np.repeat(away, size)])
    if not kept.any():
        return u
    blocks = PenaltyBlocks(n_free, size, strengths[away])
    slope, bend = norm_curvature(u[kept], blocks)
    H, down = model.H[np.ix_(kept, kept)] + bend, descent[kept] - slope
    step = newton_step(H, down)
    if step is None:
        step = newton_step(H + np.diag(RIDGE * np.diag(H)), down)
    if step is None:
        return u
    before, length = _value(model, u, descent), 1.0
    for _ in range(10):
        new = u[kept] + length * step
        rows = new[n_free:].reshape(-1, size)
        rows[(rows * u[kept][n_free:].reshape(-1, size)).sum(axis=1) <= 0] = 0.0
        candidate = np.zeros_like(u)
        candidate[kept] = new
        if _value(model, candidate, model.gradient - model.H @ (candidate - model.theta)) <= before:
            return candidate
        length *= 0.5
    return _to_first_kink(u, kept, step, n_free) if size == 1 else u


def _to_first_kink(u: FloatArray, kept: NDArray[np.bool_], step: FloatArray, n_free: int) -> FloatArray:
    """Follow a Newton step until the first coordinate reaches zero, and keep it there.

    If ``H`` is singular (full coding: a constant added to all weights of a feature) only the norms limit the step,
    which is far too long; it descends up to its first kink, and the face there has one more zero.
    """
    moved = np.zeros_like(u)
    moved[kept] = step
    crossing = n_free + np.flatnonzero((u * (u + moved))[n_free:] < 0)
    if not len(crossing):
        return u
    lengths = u[crossing] / -moved[crossing]
    first = int(np.argmin(lengths))
    candidate: FloatArray = u + lengths[first] * moved
    candidate[crossing[first]] = 0.0
    return candidate


def _value(model: QuadraticModel, u: FloatArray, descent: FloatArray) -> float:
    """The model at ``u``, with ``descent = gradient - H (u - theta)``."""
    n_free, size, strengths = model.blocks
    norms = np.linalg.norm(u[n_free:].reshape(-1, size), axis=1)
    return float(-0.5 * (u - model.theta) @ (model.gradient + descent) + strengths @ norms)
