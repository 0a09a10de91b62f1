"""What sums of vectors with positive weights cannot make of another: least squares without negative weights."""

import numpy as np

from skyloom.core.jit import kernel

# A vector that shortens what is left by less than this part of the target's length is not taken; one whose weight falls
# below this part of the largest leaves.
TOLERANCE = 1e-12


@kernel
def unexplained_part(vectors, target):
    """Rest of a vector beside the nearest sum of others with weights that are not negative.

    Parameters
    ----------
    vectors : ndarray, shape (m, n), float64
        The others, as columns of about the same length.
    target : ndarray, shape (m,), float64
        The vector.

    Returns
    -------
    ndarray, shape (m,), float64
        The rest; its scalar product with none of the others is positive.

    Raises
    ------
    RuntimeError
        If it is not found in three steps for each vector, of which a few of all are enough.

    Notes
    -----
    Lawson & Hanson (1974, Solving Least Squares Problems, chapter 23): the vector with the steepest slope joins, those
    whose weight would become negative leave. For some thousands of vectors of 25 numbers this takes a tenth of the time
    of scipy.optimize.nnls, whose import alone takes as long as a thousand such fits.
    """
    n_row, n = vectors.shape
    weights, is_barred = np.zeros(n), np.zeros(n, dtype=np.bool_)
    members, n_member = np.empty(n_row + 1, dtype=np.int64), 0
    rest, limit = target.copy(), TOLERANCE * np.sqrt(np.sum(target * target))
    for _ in range(3 * n):
        best = _steepest(vectors, rest, (weights, is_barred), limit)
        if best < 0 or n_member == n_row:
            return rest
        members[n_member] = best
        n_member += 1
        solution = _least_squares(vectors, members[:n_member], target)
        if not solution[n_member - 1] > 0:
            # By rounding alone: it is all but a sum of the members.
            is_barred[best] = True
            n_member -= 1
            continue
        is_barred[:] = False
        while n_member > 0 and not solution.min() > 0:
            n_member = _step_to_the_border(weights, members[:n_member], solution)
            solution = _least_squares(vectors, members[:n_member], target)
        rest[:] = target
        for k in range(n_member):
            weights[members[k]] = solution[k]
            for i in range(n_row):
                rest[i] -= vectors[i, members[k]] * solution[k]
    raise RuntimeError("no sum of positive weights is nearest: vectors and target must be finite")


@kernel
def _steepest(vectors, rest, state, limit):
    """Vector along which the rest shrinks fastest, of those that are neither members nor barred; -1 without one."""
    weights, is_barred = state
    slopes = np.zeros(vectors.shape[1])
    for i in range(vectors.shape[0]):
        value = rest[i]
        for j in range(slopes.size):
            slopes[j] += vectors[i, j] * value
    best = -1
    for j in range(slopes.size):
        if slopes[j] > limit and weights[j] == 0.0 and not is_barred[j]:
            best, limit = j, slopes[j]
    return best


@kernel
def _step_to_the_border(weights, members, solution):
    """Go towards a solution until the first weight is 0; the members that have one left move to the front."""
    part = 1.0
    for k in range(members.size):
        own = weights[members[k]]
        if not solution[k] > 0:
            part = min(part, own / (own - solution[k]) if own > 0 else 0.0)
    n_left, least = 0, TOLERANCE * np.max(weights)
    for k in range(members.size):
        own = weights[members[k]]
        moved = own + part * (solution[k] - own)
        is_left = moved > least
        weights[members[k]] = moved if is_left else 0.0
        if is_left:
            members[n_left] = members[k]
            n_left += 1
    return n_left


@kernel
def _least_squares(vectors, members, target):
    """Weights of the members, of either sign, by orthogonal vectors (Gram-Schmidt, each step twice)."""
    n_row, n = vectors.shape[0], members.size
    basis, triangle, along = np.zeros((n, n_row)), np.zeros((n, n)), np.zeros(n)
    for k in range(n):
        own = vectors[:, members[k]].copy()
        for _ in range(2):
            for j in range(k):
                product = np.sum(basis[j] * own)
                triangle[j, k] += product
                own -= product * basis[j]
        length = np.sqrt(np.sum(own * own))
        triangle[k, k] = length
        basis[k] = own / length if length > 0 else own
        along[k] = np.sum(basis[k] * target)
    for k in range(n - 1, -1, -1):
        for j in range(k + 1, n):
            along[k] -= triangle[k, j] * along[j]
        along[k] = along[k] / triangle[k, k] if triangle[k, k] > 0 else 0.0
    return along


def compile_kernels():
    """Compile this module's kernels for the types used in production."""
    unexplained_part(np.eye(3), np.ones(3))
