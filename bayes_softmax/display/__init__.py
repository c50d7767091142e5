"""How results are shown: tables, summaries of objects, and their HTML in notebooks.

One layout holds for all tables of the package.

**Rows.**  Tables of coefficients (``summary``, ``compare``, ``odds_ratios``, ``prior_sensitivity``) have the index
``(feature, contrast)``, odds ratios with the size of the ``step`` between the two; effects have ``(feature, change,
class)``.  The intercept comes first, then the features in the order of the formula or of the columns of ``X``.  Classes
are in their declared order, everywhere.  Tables of one thing are indexed by it: ``feature``, ``score``, ``model``,
``engine``.  Answers for rows of data have the index of the data.

**Columns.**  The estimate (``mean`` or ``estimate``), its uncertainty (``sd`` or ``std_error``), the interval
(``eti89_lb``, ``eti89_ub``: kind, percent, lower and upper bound, as in ArviZ), probabilities (``p_positive``), and
last the diagnostics of the draws (``ess_bulk``, ``ess_tail``, ``r_hat``, ``mcse_mean``).  ``n_observations`` is a
number of observations: the sum of weights or counts.

**Digits.**  A :class:`~bayes_softmax.display.table.Table` is a pandas frame of full precision; only what is shown is
rounded.  An estimate, its error and its interval have the decimals that give the error two significant digits; a mean
has none that its Monte Carlo error does not support.  Odds ratios have three significant digits, and more where their
interval is close to 1.  The rows of one feature have one notation: decimals, or powers of ten.  Probabilities have
three decimals, with ``<0.001`` and ``>0.999`` where that would read 0 or 1: an exact 0 or 1 is shown as ``0`` or ``1``.
A share of draws is never exact, and ``<0.001`` is also none of 4000 draws.  After ``table.round(3)`` three decimals are
shown.

**Width.**  No column is left out.  A table that is wider than the terminal (80 characters where there is none) is shown
in blocks of columns, with the index repeated; long names are wrapped.  The number of rows follows pandas'
``display.max_rows``.  ``table.to_string()`` is pandas' own text.
"""
