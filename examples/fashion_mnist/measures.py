"""How well scores find what was hidden."""


def auroc(scores, positives):
    """The chance that a positive has a higher score than a negative; ties count half. `scores`: id -> number."""
    ranked = sorted(scores, key=scores.get)
    rank_sum, count, at = 0.0, 0, 0
    while at < len(ranked):
        end = at
        while end < len(ranked) and scores[ranked[end]] == scores[ranked[at]]:
            end += 1
        found = sum(1 for sample in ranked[at:end] if sample in positives)
        rank_sum += found * (at + 1 + end) / 2
        count += found
        at = end
    negatives = len(ranked) - count
    return (rank_sum - count * (count + 1) / 2) / (count * negatives)


def share_of(samples, positives):
    return sum(1 for sample in samples if sample in positives) / len(samples)
