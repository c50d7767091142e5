r"""The log posterior of models that learn the scales of their priors, and coordinates in which NUTS samples it well.

**Model.**  Given unconstrained hyperparameters ``h`` (H,) the shrunk coordinates have the diagonal prior precision
``D(h)`` (:mod:`~bayes_softmax.density.scales.hyperpriors`).  The joint posterior of coefficients and hyperparameters,
:math:`p(\theta, h \mid y) \propto p(y \mid \theta)\, p(\theta \mid h)\, p(h)`, is sampled.

**Conditional normal approximation** (:mod:`~bayes_softmax.density.scales.conditional`).  Let ``P`` be the curvature of
the likelihood and the fixed priors at a reference mode :math:`\theta_0`, the conditional mode given :math:`h_0`, and
:math:`c = (P + D(h_0))\,\theta_0` the information vector.  Given ``h`` the coefficients are approximately normal with

.. math:: A(h) = P + D(h) = LL', \quad m(h) = A(h)^{-1}c.

Integrating them out gives the Laplace approximation of the marginal posterior of the hyperparameters, the log evidence
plus the log hyperprior:

.. math:: \log p(h \mid y) \approx \log p(h) + \tfrac12 \log\det D(h) - \tfrac12 \log\det A(h) + \tfrac12 c'A(h)^{-1}c.

**Whitening given the hyperparameters** (:mod:`~bayes_softmax.density.scales.kernel`).  With ``z`` (d,) in place of the
coefficients,

.. math:: \theta = L^{-T}(z + L^{-1}c),

the conditional posterior of ``z`` is nearly ``N(0, I)`` for *every* ``h``.  A direction determined by the data does not
move as its scale shrinks (centred), an undetermined one follows its scale (non-centred), and others interpolate.  So
there is no funnel.  The density stays exact: ``P`` and ``c`` only choose coordinates.

**Partial non-centring.**  ``P`` is not constant: where classes are separated the likelihood becomes flatter as the
coefficients grow, and coefficients, mode and sds all scale together.  So :math:`\theta = r \tilde\theta` on
shrunk coordinates, with :math:`r = e^{a (\bar s - \bar s_0)}` for the mean log scale :math:`\bar s` and its value
:math:`\bar s_0` at the reference, and the formulas above hold for :math:`\tilde\theta` with :math:`r^2 D` in place of
``D``.  The exponent ``a`` is 0 if the data are many and overlap, and 1, the non-centred parametrisation, if only the
prior determines the coefficients.

**Residual whitening.**  ``A`` is one block of all coordinates or, if these are many, one block for each mixed
column of :class:`bayes_softmax.core.records.BlockMetric`; ``D`` is the same in every column, so mixing leaves it
unchanged.  A constant triangular matrix corrects for the part of the Hessian at the reference that the blocks miss:
``z = S v`` with :math:`(SS')^{-1}` the Hessian there in ``z``, so that ``v`` is whitened exactly at the reference, and
the blocks only transport it to other scales.

**Where to whiten** (:mod:`~bayes_softmax.density.scales.marginal`).  Empirical Bayes: conditional modes and modes of
the marginal posterior alternate; the curvature of the log marginal posterior at its mode standardises the
hyperparameters.

=========================  ====================  ==========================================================
symbol                     shape                 in compiled code
=========================  ====================  ==========================================================
``theta``                  (d,)                  free vector on standardised features
``s``                      (R,)                  log scales of the R shrunk features
``P``, ``c``               (k, m, m), (k, m)     ``precision``, ``information``, in mixed columns
``S``                      (d, d)                ``residual``
``h = location + root e``  (H,)                  hyperparameters, standardised to ``e``
``u``                      (d + H,)              ``[v, e]``, the sampled vector
=========================  ====================  ==========================================================

Murray, *Differentiation of the Cholesky decomposition*, arXiv:1602.07527 (2016); MacKay, *Neural Computation* 4 (1992),
on the evidence; Tierney and Kadane, *JASA* 81 (1986), on marginal posteriors; Papaspiliopoulos, Roberts and Sköld,
*Statistical Science* 22 (2007), on partial non-centring.
"""
