"""Count requests and answers before training, and say what they cannot show."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from pydantic import BaseModel, ConfigDict

from data_sources import normalized_query
from data_sources.counting import many


class PromptAudit(BaseModel):
    """Counts of requests and answers. Queries are equal if their ``normalized_query`` is.

    Attributes:
        rows: All rows.
        distinct_queries: Different queries.
        distinct_answers: Different answers, by their exact text.
        duplicate_rows: Rows that repeat an earlier row.
        conflicting_queries: Queries with more than one answer.
        fingerprint: SHA-256 of the rows in sorted order.
        cannot_show: One sentence for each limit of the data.
        unknown_in_queries: The share of the queries' tokens, from 0 to 1, that the base model does not know; None if
            its vocabulary is made from the data, or its tokenizer is not on this machine yet.
        unknown_in_answers: The same for the answers' tokens.
    """

    model_config = ConfigDict(frozen=True)

    rows: int
    distinct_queries: int
    distinct_answers: int
    duplicate_rows: int
    conflicting_queries: int
    fingerprint: str
    cannot_show: tuple[str, ...]
    unknown_in_queries: float | None = None
    unknown_in_answers: float | None = None


FEW_QUERIES = 50


def audit_prompts(rows: Sequence[tuple[str, str]]) -> PromptAudit:
    """Audit (query, answer) rows; their order does not matter."""
    answers: dict[str, set[str]] = defaultdict(set)
    for query, answer in rows:
        answers[normalized_query(query)].add(answer)
    digest = hashlib.sha256()
    for row in sorted(rows):
        digest.update(json.dumps(row).encode())
    counts = {
        "rows": len(rows),
        "distinct_queries": len(answers),
        "distinct_answers": len({answer for _, answer in rows}),
        "duplicate_rows": len(rows) - len(set(rows)),
        "conflicting_queries": sum(len(seen) > 1 for seen in answers.values()),
    }
    return PromptAudit(**counts, fingerprint=digest.hexdigest(), cannot_show=tuple(_cannot_show_of_prompts(counts)))


def _cannot_show_of_prompts(n: Mapping[str, int]) -> Iterable[str]:
    if n["distinct_answers"] == 1:
        yield (
            f"One distinct answer in {many(n['rows'], 'row')}: repeating that one sentence is all that can be learnt, "
            "and every score is that of repeating it."
        )
    if n["distinct_queries"] < FEW_QUERIES:
        yield f"{many(n['rows'], 'row')} of {many(n['distinct_queries'], 'distinct query')}: a held-out score is rough."
    if n["duplicate_rows"] * 2 > n["rows"]:
        yield f"Repeated: {n['duplicate_rows']} of {many(n['rows'], 'row')}."
    if n["conflicting_queries"]:
        yield f"Queries with more than one answer, of which none can be right every time: {n['conflicting_queries']}."
