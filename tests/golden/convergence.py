"""Golden numbers of src/attribution/convergence_test.cc, with numpy alone.

Written from the paper (arXiv 1903.08008, sections 3 and 4), not from the C++: autocovariances by FFT, normal quantiles by
statistics.NormalDist. Run: python tests/golden/convergence.py
"""

from statistics import NormalDist

import numpy as np


def series(chains, draws, rho, shift):
    """AR(1) driven by a linear congruential generator, the same in both languages, rounded to fp32."""
    state, rows = 1, []
    for c in range(chains):
        x, row = 0.0, []
        for _ in range(draws):
            state = (state * 1664525 + 1013904223) % 2**32
            x = rho * x + ((state >> 8) / 2**24 - 0.5)
            row.append(x + c * shift)
        rows.append(row)
    return np.array(rows, np.float32).astype(np.float64)


def split(x):
    half = x.shape[1] // 2
    return np.concatenate([x[:, :half], x[:, -half:]])


def normal_scores(x):
    flat = x.ravel()
    order = np.argsort(flat, kind="stable")
    ranks = np.empty(flat.size)
    ranks[order] = np.arange(1, flat.size + 1)
    for value in np.unique(flat):
        ranks[flat == value] = ranks[flat == value].mean()
    inverse = NormalDist().inv_cdf
    return np.array([inverse((r - 0.375) / (flat.size + 0.25)) for r in ranks]).reshape(x.shape)


def r_hat(x):
    n = x.shape[1]
    within = x.var(axis=1, ddof=1).mean()
    between = n * x.mean(axis=1).var(ddof=1)
    return np.sqrt(((n - 1) / n * within + between / n) / within)


def ess(x):
    chains, n = x.shape
    centred = x - x.mean(axis=1, keepdims=True)
    f = np.fft.rfft(centred, 2 * n, axis=1)
    autocovariance = np.fft.irfft(f * f.conj(), 2 * n, axis=1)[:, :n] / n
    within = x.var(axis=1, ddof=1).mean()
    pooled = (n - 1) / n * within
    if chains > 1:
        pooled += x.mean(axis=1).var(ddof=1)
    rho = 1 - (within - autocovariance.mean(axis=0)) / pooled
    rho[0] = 1
    pairs = rho[0 : n - n % 2 : 2] + rho[1 : n - n % 2 : 2]
    stop = np.argmax(pairs <= 0) if (pairs <= 0).any() else len(pairs)
    pairs = np.minimum.accumulate(pairs[:stop])
    tau = max(-1 + 2 * pairs.sum(), 1 / np.log10(chains * n))
    return chains * n / tau


for name, args in {
    "mixed": (4, 101, 0.6, 0.0),
    "apart": (4, 100, 0.6, 0.3),
    "antithetic": (2, 200, -0.5, 0.0),
    "slow": (3, 500, 0.95, 0.0),
}.items():
    x = series(*args)
    halves = split(x)
    bulk = normal_scores(halves)
    folded = normal_scores(np.abs(halves - np.median(halves)))
    print(f'{{"{name}", {args[0]}, {args[1]}, {args[2]}, {args[3]}, {max(r_hat(bulk), r_hat(folded)):.10f}, '
          f"{ess(bulk):.8f}, {max(1.0, x.size / ess(x)):.10f}}},")
