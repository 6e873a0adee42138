"""Split rows by their query, so that near-duplicates are in one part."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from data_sources import normalized_query
from data_sources.counting import many
from training.judging.splits import PARTS, Part, assign_parts, count_parts
from training.text.backbone import TextPair

MIN_GROUPS = 10  # distinct queries below which nothing is held out
NEAR_DUPLICATE = 0.9  # cosine of TF-IDF vectors from which two queries count as one


Split = tuple[list[Part], dict[str, Any]]
"""The part of each row, and a description: ``strategy``, ``reason``, ``rows`` per part and, if any are, ``units``."""


def split_by_query(pairs: Sequence[TextPair]) -> Split:
    """Split by query; near-duplicates are in one part. With fewer than ``MIN_GROUPS`` queries all rows are training."""
    group = _query_groups([pair.source for pair in pairs])
    names = sorted(set(group))
    if len(names) < MIN_GROUPS:
        reason = f"{many(len(names), 'distinct query')} (needs {MIN_GROUPS}): nothing is held out"
        return ["train"] * len(pairs), {"strategy": "none", "reason": reason, "rows": {"train": len(pairs)}}
    return split_by_unit(
        group, "query", f"{len(names)} distinct queries, near-duplicates together: whole queries are held out"
    )


def split_by_unit(units: Sequence[str], strategy: str, reason: str) -> Split:
    """Split rows so that those of one unit are in one part.

    Args:
        units: The unit of each row, such as its home.
        strategy: What a unit is.
        reason: One sentence that explains the split.
    """
    part_of = assign_parts(set(units))
    parts = [part_of[unit] for unit in units]
    rows = Counter(parts)
    return parts, {
        "strategy": strategy,
        "reason": reason,
        "units": count_parts(part_of),
        "rows": {part: rows[part] for part in PARTS},
    }


def _query_groups(queries: Sequence[str]) -> list[str]:
    """The group of each query, named by its alphabetically first query; near-duplicates share a group."""
    from scipy.sparse.csgraph import connected_components
    from sklearn.feature_extraction.text import TfidfVectorizer

    texts = [normalized_query(query) for query in queries]
    distinct = sorted(set(texts))
    vectors = TfidfVectorizer(token_pattern=r"\w+").fit_transform([text or "-" for text in distinct])
    near = vectors @ vectors.T
    near.data[near.data < NEAR_DUPLICATE] = 0
    near.eliminate_zeros()
    _, label = connected_components(near, directed=False)
    first: dict[int, str] = {}
    for text, component in zip(distinct, label.tolist(), strict=True):
        first.setdefault(component, text)
    group = {text: first[component] for text, component in zip(distinct, label.tolist(), strict=True)}
    return [group[text] for text in texts]
