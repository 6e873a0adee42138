"""Which part a request belongs to: near-duplicates stay together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from data_sources import normalized_query
from training.judging.splits import PARTS, Part, assign_parts, count_parts
from training.text.backbone import TextPair

MIN_GROUPS = 10  # distinct queries below which nothing is held out
NEAR_DUPLICATE = 0.9  # cosine of TF-IDF vectors above which two queries are one


Split = tuple[list[Part], dict[str, Any]]
"""A part for each row, and what is said of it."""


def split_by_query(pairs: Sequence[TextPair]) -> Split:
    """A part for each row; rows of one query, or of nearly the same, are together. Few queries are all for training."""
    group = _query_groups([pair.source for pair in pairs])
    names = sorted(set(group))
    if len(names) < MIN_GROUPS:
        reason = (
            f"{len(names)} distinct quer{'ies' if len(names) != 1 else 'y'} (needs {MIN_GROUPS}): nothing is held out"
        )
        return ["train"] * len(pairs), {"strategy": "none", "reason": reason, "rows": {"train": len(pairs)}}
    return split_by_unit(
        group, "query", f"{len(names)} distinct queries, near-duplicates together: whole queries are held out"
    )


def split_by_unit(units: Sequence[str], strategy: str, reason: str) -> Split:
    """A part for each row; ``units`` names what each row belongs to, and rows of one unit are together."""
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
    """The first of all queries that each is nearly the same as."""
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
