r"""The log posterior of models that learn the scales of their priors, and coordinates in which NUTS samples it well.

**Model.**  Unconstrained hyperparameters ``h`` (H,) give the shrunk coordinates the prior precisions ``D(h)``, diagonal
(:mod:`~bayes_softmax.density.scales.hyperpriors`).  What is sampled is the joint posterior of coefficients and
hyperparameters, :math:`p(\theta, h \mid y) \propto p(y \mid \theta)\, p(\theta \mid h)\, p(h)`.

**Conditional normal approximation** (:mod:`~bayes_softmax.density.scales.conditional`).  Let ``P`` be a curvature of
all else (likelihood and fixed priors) at a reference mode :math:`\theta_0`, the conditional mode given :math:`h_0`,
and :math:`c = (P + D(h_0))\,\theta_0` the information vector.  Given ``h`` the coefficients are about normal with

.. math:: A(h) = P + D(h) = LL', \quad m(h) = A(h)^{-1}c.

Integrating them out gives the Laplace approximation of the marginal posterior of the hyperparameters, the log evidence
plus the log hyperprior:

.. math:: \log p(h \mid y) \approx \log p(h) + \tfrac12 \log\det D(h) - \tfrac12 \log\det A(h) + \tfrac12 c'A(h)^{-1}c.

**Whitening given the hyperparameters** (:mod:`~bayes_softmax.density.scales.kernel`).  With ``z`` (d,) in place of the
coefficients,

.. math:: \theta = L^{-T}(z + L^{-1}c),

the conditional posterior of ``z`` is near ``N(0, I)`` *whatever* ``h`` is: a direction that the data determine keeps
its place as its scale shrinks (centred), one that they do not follows its scale (non-centred), and between the two it
interpolates.  So there is no funnel.  The density stays exact: ``P`` and ``c`` only choose coordinates.

**Partial non-centring.**  ``P`` is not the same everywhere: where classes are separated the likelihood grows flatter
as the coefficients grow, and coefficients, mode and sds all follow the scale.  So :math:`\theta = r \tilde\theta` on
shrunk coordinates, with :math:`r = e^{a (\bar s - \bar s_0)}` for the mean log scale :math:`\bar s` and its value at
the reference, and the formulas above hold for :math:`\tilde\theta` with :math:`r^2 D` in place of ``D``.  The
exponent ``a`` is 0 where the data overlap and many, and 1, the non-centred parametrisation, where nothing but the
prior holds the coefficients.

**Residual whitening.**  ``A`` is one block of all coordinates, or, where these are many, one block for each mixed
column of :class:`bayes_softmax.core.records.BlockMetric`; ``D`` is the same in every column, so mixing leaves it
alone.  What the blocks miss of the Hessian at the reference a constant triangular matrix makes good: ``z = S v`` with
:math:`(SS')^{-1}` the Hessian there in ``z``, so that ``v`` is whitened exactly at the reference and blocks only
carry it from there to other scales.

**Where to whiten** (:mod:`~bayes_softmax.density.scales.marginal`).  Empirical Bayes: conditional modes and modes of
the marginal posterior in turn; hyperparameters are standardised there by the curvature of the log marginal posterior.

=========================  ====================  ==========================================================
symbol                     shape                 in compiled code
=========================  ====================  ==========================================================
``theta``                  (d,)                  free vector on standardised features
``s``                      (R,)                  log scales of the R shrunk features
``P``, ``c``               (k, m, m), (k, m)     ``precision``, ``information``, in mixed columns
``S``                      (d, d)                ``residual``
``h = location + root e``  (H,)                  hyperparameters, standardised to ``e``
``u``                      (d + H,)              ``[v, e]``, what is sampled
=========================  ====================  ==========================================================

Murray, *Differentiation of the Cholesky decomposition*, arXiv:1602.07527 (2016); MacKay, *Neural Computation* 4 (1992),
on the evidence; Tierney and Kadane, *JASA* 81 (1986), on marginal posteriors; Papaspiliopoulos, Roberts and Sköld,
*Statistical Science* 22 (2007), on partial non-centring.
"""
