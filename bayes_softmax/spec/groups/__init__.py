r"""Group-level effects: coefficients that vary over the levels of a grouping, with a covariance that is learned.

A level's effects are ``q`` terms for each class.  Under zero-sum and full coding they are q K exchangeable columns
with standard deviations ``D`` and correlations ``R``, seen through the contrasts ``C`` (K, k): the free coordinates of
a level are :math:`(I_q \otimes C)' v` with :math:`v \sim N(0, D R D)`, so that no class is special.  Under reference
coding the columns are the q (K - 1) free coordinates themselves, the textbook's model.

``D`` and ``R`` have more parameters than the covariance of contrasts :math:`C'(D R D)C`: they are not identified one
by one, while every covariance of contrasts is.
"""
