r"""Learned scales: normal priors whose standard deviation has a prior of its own.

Given the hyperparameters the free coordinates ``g`` (k,) of feature ``j`` are :math:`N(0, (\sigma_j / u_j)^2)`, one
scale for all classes, so under zero-sum coding they stay exchangeable over the classes.  ``u_j`` is the unit in which
the family measures the feature.  Features that carry the same prior share its hyperparameters: a *shared scale*.

=====================  =======================================================  =====================================
family                 hyperparameters, scales :math:`\sigma_j` and unit        unconstrained ``h``
=====================  =======================================================  =====================================
``Normal(HalfNormal)`` :math:`\sigma_j = \tau`; the feature as given            :math:`\log \tau`
``R2D2``               :math:`\sigma_j = \sqrt{\phi_j\,\omega},\                logit of :math:`R^2`, logarithms of
                       \omega = R^2/(1 - R^2)`; sd of the feature               :math:`\gamma_j \sim \Gamma(a, 1)`
=====================  =======================================================  =====================================

For ``R2D2`` :math:`\phi_j = \gamma_j / \sum_i \gamma_i` is Dirichlet; the sum of the :math:`\gamma_j` is independent of
the shares, and of everything else.  It compares features with each other, so it needs a common unit: a standard
deviation of the feature (for a column of two values at least half their distance), as in the autoscaled default; where
columns are rarer than that, as a factor's dummies are, all units are smaller by one factor, so that the rows realise
the variance that is shared out.

To add a family: its prior in ``hyperpriors``, its class beside ``common`` and ``r2d2``, a line in
``shared.HYPERPRIORS``, and its derivatives in :mod:`bayes_softmax.density.scales.hyperpriors`.
"""
