r"""Compiled whitening of a chain of nested groupings, such as classes in schools, given the hyperparameters.

Take the effects of a level together with those of the levels that contain it, ``U_c = u_c + U_p(c)``.  Rows depend on
the innermost ones alone, and :math:`U_c \mid U_p \sim N(U_p, Q_c^{-1})`: a tree, so that eliminating the inner levels
first leaves no new entries.  With the innermost curvature A and target t of an expansion, and for outer levels what
their parts W and g send up,

.. math:: P_c &= A_c + W_c + Q_c = F_c F_c', \quad a_c = P_c^{-1} t_c, \quad M_c = P_c^{-1} Q_c \\
          W_p &= \sum_{c \in p} Q_c - Q_c M_c, \quad g_p = \sum_{c \in p} Q_c a_c, \quad
          U_c = a_c + M_c U_p + F_c^{-\top} v_c

(``g`` is the target t of an outer level).  The reverse sweep, with :math:`p_c = P_c^{-1} \bar U_c`, is

.. math:: \bar U_p &\mathrel{+}= M_c' \bar U_c, \quad \bar t_c = p_c + M_c \bar t_p, \quad
          \bar P_c = -p_c (a_c + M_c U_p)' - M_c \bar t_p a_c' + M_c \bar P_p M_c' - F_c^{-\top} \Phi(v_c \bar v_c')
          F_c^{-1} - \tfrac12 P_c^{-1} \\
          \bar Q_c &= \bar P_c + p_c U_p' + \bar t_p a_c' + \bar P_p - 2 M_c \bar P_p .
"""

from bayes_softmax.core import compiling as nb
from bayes_softmax.density.groups.lanes import (
    add_lower_transposed,
    add_product,
    dot,
    factor,
    from_lanes,
    log_diagonals,
    lower,
    subtract_factor_adjoints,
    subtract_product,
    to_lanes,
    total,
)
from bayes_softmax.density.linear import logits, products, workspace


@nb.njit(**nb.OPTIONS)
def eliminate(lanes, Q, G, own, chain, parents, above):  # type: ignore[no-untyped-def]
    """Factor the G levels of one grouping and send ``W`` and ``g`` up; returns the log determinant of the map.

    ``parents`` (G,) are the levels that contain these, in the grouping with workspace ``above``; none of it is read if
    they are empty.
    """
    n, m, _, B = own.F.shape
    squares, t = workspace(3 * m * m, B).reshape(3, m, m, B), workspace(m, B)
    L, A, Pinv = squares[0], squares[1], squares[2]
    log_determinant = 0.0
    for c in range(n):
        F, a, y, M, used = own.F[c], own.a[c], own.y[c], chain.M[c], min(B, G - c * B)
        A[:] = lanes.curvature[c] + chain.W[c]
        t[:] = lanes.target[c] + chain.g[c]
        chain.g[c, :] = 0.0  # for the reverse sweep
        factor(A, Q, L, F)
        log_determinant += log_diagonals(F, used)
        lower(F, t, y)
        a[:] = 0.0
        add_lower_transposed(F, y, a)
        if len(parents) > 0:
            _inverse(F, Pinv)
            _times_matrix(Pinv, Q, M)
            _send_up(Q, a, M, parents[c * B : c * B + used], above)
    return log_determinant


@nb.njit(**nb.OPTIONS)
def _inverse(F, out):  # type: ignore[no-untyped-def]
    """``out = F'F`` (m, m, B)."""
    m = F.shape[0]
    out[:] = 0.0
    for i in range(m):
        for j in range(i + 1):
            for h in range(i + 1):
                add_product(F[i, j], F[i, h], out[j, h])


@nb.njit(**nb.OPTIONS)
def _times_matrix(X, Q, out):  # type: ignore[no-untyped-def]
    """``out = X Q`` for ``X`` (m, m, B) and one ``Q`` (m, m)."""
    m, _, B = X.shape
    for i in range(m):
        for j in range(m):
            into = out[i, j]
            into[:] = 0.0
            for h in range(m):
                row, factor = X[i, h], Q[h, j]
                for l in range(B):
                    into[l] += row[l] * factor


@nb.njit(**nb.OPTIONS)
def _send_up(Q, a, M, parents, above):  # type: ignore[no-untyped-def]
    """Add ``Q - Q M`` and ``Q a`` of the first lanes to the levels that contain them."""
    m, B = Q.shape[0], above.W.shape[3]
    for l in range(len(parents)):
        c, k = parents[l] // B, parents[l] % B
        for i in range(m):
            sent = 0.0
            for j in range(m):
                sent += Q[i, j] * a[j, l]
                left = Q[i, j]
                for h in range(m):
                    left -= Q[i, h] * M[h, j, l]
                above.W[c, i, j, k] += left
            above.g[c, i, k] += sent


@nb.njit(**nb.OPTIONS)
def gather(X, parents, out):  # type: ignore[no-untyped-def]
    """Fill the first lanes of ``out`` (m, B) with the columns of ``X`` (n, m, B') at the levels that contain them."""
    m, B = X.shape[1:]
    out[:] = 0.0
    for l in range(len(parents)):
        c, k = parents[l] // B, parents[l] % B
        for i in range(m):
            out[i, l] = X[c, i, k]


@nb.njit(**nb.OPTIONS)
def _gather_squares(X, parents, out):  # type: ignore[no-untyped-def]
    """The same for matrices: ``out`` (m, m, B), ``X`` (n, m, m, B')."""
    m, B = X.shape[1], X.shape[3]
    out[:] = 0.0
    for l in range(len(parents)):
        c, k = parents[l] // B, parents[l] % B
        for i in range(m):
            for j in range(m):
                out[i, j, l] = X[c, i, j, k]


@nb.njit(**nb.OPTIONS)
def effects_in_chain(X, own, chain, step, v, u, parents, above):  # type: ignore[no-untyped-def]
    """Fill ``chain.U`` and the levels' own effects ``u`` (G, m), from whitened coordinates ``v`` (G, m) and a ``step``.

    The step of the weights changes the own effects by ``-X step``.
    """
    n, m, d, B = X.shape
    containing, alone, s = workspace(m, B), workspace(m, B), step.reshape(1, d)
    for c in range(n):
        first, used, U = c * B, min(B, len(u) - c * B), chain.U[c]
        to_lanes(v, first, used, own.v[c])
        U[:] = own.a[c]
        add_lower_transposed(own.F[c], own.v[c], U)
        containing[:] = 0.0
        if len(parents) > 0:
            gather(above.U, parents[first : first + used], containing)
            for i in range(m):
                for j in range(m):
                    add_product(chain.M[c, i, j], containing[j], U[i])
        for i in range(m):
            row, own_row, total_row = containing[i], alone[i], U[i]
            logits(s, X[c, i], alone[i : i + 1], 1)
            for l in range(B):
                own_row[l] = total_row[l] - row[l] - own_row[l]
        from_lanes(alone, first, used, u)


@nb.njit(**nb.OPTIONS)
def pull_back_in_chain(X, own, chain, of_u, sbar, vbar, parents, above):  # type: ignore[no-untyped-def]
    """Fill ``vbar`` (G, m) and ``chain.p``, subtract from ``sbar``, and add to ``g`` of the levels that contain these.

    ``chain.g`` holds what a level's parts have added to its gradient.
    """
    n, m, d, B = X.shape
    up, into = workspace(m, B), sbar.reshape(1, d)
    for c in range(n):
        first, used, ubar, p = c * B, min(B, len(of_u) - c * B), own.u[c], chain.p[c]
        to_lanes(of_u, first, used, ubar)
        for i in range(m):
            products(ubar[i : i + 1], X[c, i], into, 1, False)
            for l in range(B):
                up[i, l] = -ubar[i, l]
        ubar += chain.g[c]
        lower(own.F[c], ubar, own.y[c])
        from_lanes(own.y[c], first, used, vbar)
        p[:] = 0.0
        add_lower_transposed(own.F[c], own.y[c], p)
        if len(parents) > 0:
            for i in range(m):
                for j in range(m):
                    add_product(chain.M[c, i, j], ubar[i], up[j])
            for l in range(used):
                at = parents[first + l]
                for i in range(m):
                    above.g[at // above.g.shape[2], i, at % above.g.shape[2]] += up[i, l]


@nb.njit(**nb.OPTIONS)
def add_adjoints_in_chain(G, own, chain, parents, above, adjoint):  # type: ignore[no-untyped-def]
    """Add to the ``adjoint`` (m, m) of the levels' prior precision; ``chain.W`` becomes that of P, ``chain.g`` of t."""
    n, m, _, B = own.F.shape
    mean, of_t, U = workspace(m, B), workspace(m, B), workspace(m, B)
    Z, MZ = workspace(m * m, B).reshape(m, m, B), workspace(m * m, B).reshape(m, m, B)
    scratch = workspace(m, B)
    for c in range(n):
        F, a, M, p, Pbar, tbar = own.F[c], own.a[c], chain.M[c], chain.p[c], chain.W[c], chain.g[c]
        used = min(B, G - c * B)
        Pbar[:] = 0.0
        subtract_factor_adjoints(F, own.v[c], own.y[c], scratch, Pbar)
        tbar[:] = p
        if len(parents) > 0:
            own_parents = parents[c * B : c * B + used]
            gather(above.U, own_parents, U)
            gather(above.g, own_parents, of_t)
            _gather_squares(above.W, own_parents, Z)
            _add_from_above(a, M, p, U, of_t, Z, MZ, mean, Pbar, tbar)
            for i in range(m):
                for j in range(m):
                    adjoint[i, j] += dot(p[i, :used], U[j, :used]) + dot(of_t[i, :used], a[j, :used])
                    adjoint[i, j] += total(Z[i, j, :used]) - 2.0 * total(MZ[i, j, :used])
        else:
            mean[:] = a
        for i in range(m):
            for j in range(m):
                subtract_product(p[i], mean[j], Pbar[i, j])
        _make_symmetric(Pbar)
        for i in range(m):
            for j in range(m):
                adjoint[i, j] += total(Pbar[i, j, :used])


@nb.njit(**nb.OPTIONS)
def _add_from_above(a, M, p, U, of_t, Z, MZ, mean, Pbar, tbar):  # type: ignore[no-untyped-def]
    """Fill ``mean = a + M U`` and ``MZ``; add ``M of_t`` to ``tbar`` and ``MZ M' - M of_t a'`` to ``Pbar``."""
    m = a.shape[0]
    mean[:] = a
    MZ[:] = 0.0
    for i in range(m):
        for j in range(m):
            add_product(M[i, j], U[j], mean[i])
            add_product(M[i, j], of_t[j], tbar[i])
            for h in range(m):
                add_product(M[i, h], Z[h, j], MZ[i, j])
    for i in range(m):
        for j in range(m):
            for h in range(m):
                add_product(MZ[i, h], M[j, h], Pbar[i, j])
            into, left, sent, right = Pbar[i, j], tbar[i], p[i], a[j]
            for l in range(into.shape[0]):
                into[l] -= (left[l] - sent[l]) * right[l]


@nb.njit(**nb.OPTIONS)
def _make_symmetric(X):  # type: ignore[no-untyped-def]
    m, _, B = X.shape
    for i in range(m):
        for j in range(i):
            lower_half, upper_half = X[i, j], X[j, i]
            for l in range(B):
                both = 0.5 * (lower_half[l] + upper_half[l])
                lower_half[l] = both
                upper_half[l] = both
