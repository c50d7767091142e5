r"""Compiled log posterior of a model with group-level effects, in coordinates whitened given the hyperparameters.

Row i of level g of a grouping has the logits :math:`\eta_i = x_i W + \sum_t z_{it} C u_{gt}`: ``u_g`` are the free
coordinates (q terms, k contrasts; ``m = q k`` of them) of the level's effects, and ``C`` (K, k) the contrasts of the
coding.  Under the prior :math:`u_g \sim N(0, \Sigma(h))`, with :math:`\Sigma = M' D R D M` for q K exchangeable columns
of effects (sds ``D``, correlations ``R``) and :math:`M = I_q \otimes C`; under reference coding the columns are the
free coordinates themselves and ``M = I``.

**Whitening.**  At a reference :math:`(\theta_0, u_0)` expand the log-likelihood to second order: per level the
curvature :math:`A_g` (m, m), the gradient :math:`r_g`, and the border :math:`C_g` (m, d) with the weights, whose own
curvature, prior included, is ``H`` (d, d).  Given h the quadratic posterior is an arrow, and its Cholesky factor costs
one small factorisation a level and one of the border:

.. math:: P_g &= A_g + \Sigma(h)^{-1} = F_g F_g', \quad a_g = P_g^{-1} (A_g u_{0g} + r_g), \quad X_g = P_g^{-1} C_g \\
          S &= H - \sum_g C_g' X_g = T T', \quad b = \nabla_\theta - \sum_g C_g' (a_g - u_{0g}) \\
          \theta &= \theta_0 + s, \quad s = S^{-1} b + T^{-\top} w, \quad u_g = a_g - X_g s + F_g^{-\top} v_g

NUTS moves in ``[w, v, h]``, near a standard normal in ``w`` and ``v`` whatever h is, with the exact log density and
:math:`-\sum_g \log\det F_g - \log\det T`: there is no funnel.  With the gradients :math:`\bar\theta, \bar u_g` of the
log joint density the reverse sweep is

.. math:: \bar s &= \bar\theta - \sum_g X_g' \bar u_g, \quad \bar w = T^{-1} \bar s, \quad \bar v_g = F_g^{-1} \bar u_g,
              \quad \bar b = S^{-1} \bar s \\
          \bar S &= -\bar b (S^{-1} b)' - T^{-\top} \Phi(w \bar w') T^{-1} - \tfrac12 S^{-1} \\
          \bar P_g &= -(P_g^{-1} \bar u_g - X_g \bar b) a_g' + (P_g^{-1} \bar u_g s' + X_g \bar S) X_g'
              - F_g^{-\top} \Phi(v_g \bar v_g') F_g^{-1} - \tfrac12 P_g^{-1}

with :math:`\Phi` the lower triangle with half of the diagonal (the differential of a Cholesky factor, Murray, 2016).
The precision :math:`\Sigma^{-1}` enters through ``P`` alone, so its adjoint is the sum of the :math:`\bar P_g`.

**Where.**  The expansion is an average over points of the whitened normal itself, ``averaged.py``: at the mode alone
the sds of many levels with few observations are too small by several posterior sds.  Arithmetic is on many levels side
by side, ``lanes.py``: on the housing panel (361 levels, m = 2, 1289 rows) a gradient takes 40 microseconds instead of
225, half of them for the rows.

**Stretch.**  Where levels have few rows, weights and effects grow with the sds of effects: the whitened point is
multiplied by a factor of ``h``, ``stretch.py``.  On 600 levels of one row divergences fell from 29 in 4000 draws to
none, and with three rows a level leapfrogs from 19 to 15.

**Several groupings.**  The effects of small groupings are common coordinates, an exact border.  With many levels in
more than one grouping that border would be dense and of thousands of columns.  There each grouping is whitened level by
level (``whitening.py``): P as above, the border *fixed* at the reference, with X and T of the joint curvature, found by
conjugate gradients (``curvature.py``).  What is lost is that levels of crossed groupings inform each other: the
condition number that remains is about :math:`(1 + r) / (1 - r)` for :math:`r^2` the product of the shares of
information that rows contribute to a level of each.  Measured on InstEval (2972 students x 1128 lecturers, m = 4,
73 421 rows): 1.6 milliseconds a gradient, 0.2 of them for the levels, and 31 leapfrogs a draw, as many as a standard
normal of 16 000 coordinates needs.  Eliminating one of the crossed groupings given the other would cost several times
what the rows cost.  Nested groupings (``nested.py``) need no approximation: inner levels are eliminated first.
"""
