r"""A log posterior of many rows whose evaluations cost nothing in their number, with an error that it measures.

With the log-likelihood ``l`` of all rows, its gradient ``g`` and its Hessian ``-H`` at an expansion point ``m``,

.. math:: l(m + d) = l(m) + g'd - \tfrac12 d'Hd + \sum_i r_i(d),

and the remainders :math:`r_i` are of third order in ``d``, which is of order :math:`N^{-1/2}`.  Their sum alone is
estimated, from ``M`` rows drawn with replacement, row i with probability :math:`q_i`, each counted :math:`1 / (M q_i)`
times (Hansen and Hurwitz, *Annals of Mathematical Statistics* 14, 1943; a difference estimator as of Quiroz, Kohn,
Villani and Tran, *JASA* 114, 2019).  Its standard error is :math:`O(1 / \sqrt{N M})`, and the sample itself says it.

Probabilities are proportional to weight times leverage to the power 3/2, as the remainders are, mixed with 10 % in
proportion to the weights alone.  A uniform sample can miss a rare feature, and then understates its error: of a flag in
60 of 100 000 rows it predicts an error of .002 and has one of .1.
"""
