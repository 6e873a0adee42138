"""What the data can and cannot support, counted before training and said in plain words."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict

from data_sources import Home, PatternRow
from training.graph import ACTING_SHARE, MIN_GROUPS, MIN_HOMES, READ_ONLY_DOMAINS
from training.splits import MIN_ENTITIES

FEW_PAIRS = 100  # below it a held-out score rests on a dozen pairs


class SynergyAudit(BaseModel):
    """Counts of the synergy data and what follows from them.

    ``rows`` are synergy rows read; ``duplicate_rows`` those beyond the first of their (trigger, action) pair;
    ``distinct_pairs`` pairs as written and ``directed_pairs`` with both directions of bidirectional ones;
    ``implied_entities`` are named by a synergy only. ``conflicting_*`` count pairs whose rows disagree.
    ``generated_pairs`` were made up by rules. ``one_class`` maps a target that takes a single value to that value.
    """

    model_config = ConfigDict(frozen=True)

    rows: int
    distinct_pairs: int
    directed_pairs: int
    duplicate_rows: int
    homes: int
    homes_with_pairs: int
    enabled_entities: int
    disabled_entities: int
    implied_entities: int
    rows_with_disabled_entities: int
    generated_pairs: int
    entities_in_pairs: int
    entities_with_area: int
    entities_with_device: int
    areas: int
    automations: int
    conflicting_direction: int
    conflicting_relationship: int
    conflicting_synergy_type: int
    synergy_types: dict[str, int]
    one_class: dict[str, str]
    fingerprint: str
    cannot_show: tuple[str, ...]


def audit_homes(homes: Sequence[Home]) -> SynergyAudit:
    """Count, fingerprint and judge homes; the fingerprint does not depend on their order or their source."""
    totals: Counter[str] = Counter()
    types: Counter[str] = Counter()
    confidences: set[float] = set()
    read_only_actions = actions = 0
    for home in homes:
        values: dict[tuple[str, str], dict[str, set[str | None]]] = defaultdict(lambda: defaultdict(set))
        directed: set[tuple[str, str]] = set()
        automations: set[str] = set()
        for s in home.synergies:
            pair = (s.trigger, s.action)
            directed.add(pair)
            if s.bidirectional:
                directed.add((s.action, s.trigger))
            values[pair]["direction"].add(s.direction)
            values[pair]["relationship"].add(s.relationship_type)
            values[pair]["synergy_type"].add(s.synergy_type)
            types[s.synergy_type or "none"] += s.rows
            confidences.add(s.confidence)
            if s.automation_id is not None:
                automations.add(s.automation_id)
        areas = {e.area_id for e in home.entities if e.area_id is not None}
        rows = sum(s.rows for s in home.synergies)
        totals.update(
            rows=home.rows,
            distinct_pairs=len(values),
            directed_pairs=len(directed),
            duplicate_rows=rows - len(values),
            homes_with_pairs=int(bool(values)),
            enabled_entities=len(home.entities),
            disabled_entities=home.disabled,
            implied_entities=home.implied,
            rows_with_disabled_entities=home.disabled_rows,
            generated_pairs=home.generated,
            entities_in_pairs=len({entity for pair in values for entity in pair}),
            entities_with_area=sum(e.area_id is not None for e in home.entities),
            entities_with_device=sum(e.device_id is not None for e in home.entities),
            areas=len(areas),
            automations=len(automations),
            **{
                f"conflicting_{name}": sum(len(seen[name]) > 1 for seen in values.values())
                for name in ("direction", "relationship", "synergy_type")
            },
        )
        domains = [action.partition(".")[0] for _, action in directed]
        actions += len(domains)
        read_only_actions += sum(domain in READ_ONLY_DOMAINS for domain in domains)
    counts: dict[str, Any] = {name: totals[name] for name in SynergyAudit.model_fields if name in totals}
    counts["homes"] = len(homes)
    one_class = {"synergy_type": next(iter(types))} if len(types) == 1 else {}
    if len(confidences) == 1 and totals["distinct_pairs"] > 1:
        one_class["confidence"] = repr(next(iter(confidences)))
    return SynergyAudit(
        **{**dict.fromkeys(_COUNTS, 0), **counts},
        synergy_types=dict(sorted(types.items())),
        one_class=one_class,
        fingerprint=fingerprint(homes),
        cannot_show=tuple(_cannot_show(Counter(counts), one_class, read_only_actions, actions)),
    )


_COUNTS = tuple(name for name, info in SynergyAudit.model_fields.items() if info.annotation is int)


def fingerprint(homes: Iterable[Home]) -> str:
    """SHA-256 of the homes' fingerprints, sorted."""
    digest = hashlib.sha256()
    for value in sorted(home.fingerprint() for home in homes):
        digest.update(value.encode())
    return digest.hexdigest()


def _cannot_show(n: Counter[str], one_class: dict[str, str], read_only: int, actions: int) -> Iterable[str]:
    pairs, groups = n["distinct_pairs"], n["automations"] or n["distinct_pairs"]
    if n["generated_pairs"]:
        yield (
            f"{n['generated_pairs']} pairs were generated from rules, for no synergy is known yet: nobody has "
            "validated them, and every score below only says how well the rules are repeated."
        )
    if n["homes_with_pairs"] < MIN_HOMES and groups < MIN_GROUPS:
        yield (
            f"{n['rows']} rows are only {_many(pairs, 'distinct pair')}: "
            f"{_many(pairs, 'distinct pair')} allow no held-out score, so every number below is in-sample "
            "and says nothing about pairs not seen."
        )
    elif pairs < FEW_PAIRS:
        yield f"{_many(pairs, 'distinct pair')}: a held-out score rests on few pairs and moves a lot with each of them."
    if n["duplicate_rows"] > pairs:
        yield f"{n['duplicate_rows']} of {n['rows']} rows repeat a pair: they weigh it, they are no further evidence."
    if 0 < n["homes_with_pairs"] < MIN_HOMES:
        yield (
            f"{_many(n['homes_with_pairs'], 'home')} with pairs: nothing shows how the model does in another home "
            f"(that needs {MIN_HOMES})."
        )
    without = n["homes"] - n["homes_with_pairs"]
    if without:
        yield f"{_many(without, 'home')} without a synergy: nothing is learnt from or judged on them."
    if not n["entities_with_area"]:
        yield "No entity has an area: what rooms tell cannot be learnt; only names may carry the room."
    elif n["entities_with_area"] < 0.5 * n["enabled_entities"]:
        yield f"Only {n['entities_with_area']} of {n['enabled_entities']} entities have an area."
    for target, value in one_class.items():
        yield f"Every {target} is {value}: one class, so kinds of {target} cannot be told apart."
    for name in ("direction", "relationship", "synergy_type"):
        if n[f"conflicting_{name}"]:
            yield f"{_many(n[f'conflicting_{name}'], 'pair')} with rows that disagree on {name}."
    if n["rows_with_disabled_entities"]:
        yield f"{_many(n['rows_with_disabled_entities'], 'row')} left out: they name a disabled entity."
    if 0 < read_only < ACTING_SHARE * actions:
        yield (
            f"{read_only} of {actions} directed pairs act on sensors and the like, which take no action: "
            "some of these are not trained on or ranked."
        )
    yield "A pair that is missing does not prove that two entities are unrelated."


def _many(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


class PromptAudit(BaseModel):
    """Counts of requests and answers; queries are distinct without case and punctuation."""

    model_config = ConfigDict(frozen=True)

    rows: int
    distinct_queries: int
    distinct_answers: int
    duplicate_rows: int
    conflicting_queries: int
    fingerprint: str
    cannot_show: tuple[str, ...]


FEW_QUERIES = 50


def audit_prompts(rows: Sequence[tuple[str, str]]) -> PromptAudit:
    """Count and judge (query, answer) rows; the fingerprint does not depend on their order."""
    answers: dict[str, set[str]] = defaultdict(set)
    for query, answer in rows:
        answers[" ".join(re.findall(r"\w+", query.lower()))].add(answer)
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
            f"{n['rows']} rows have one distinct answer: repeating that one sentence is all that can be learnt, and "
            "every score below is that of repeating it."
        )
    if n["distinct_queries"] < FEW_QUERIES:
        yield f"{_many(n['rows'], 'row')} of {n['distinct_queries']} distinct queries: a held-out score is rough."
    if n["duplicate_rows"] * 2 > n["rows"]:
        yield f"{n['duplicate_rows']} of {n['rows']} rows are repeated."
    if n["conflicting_queries"]:
        yield f"{n['conflicting_queries']} queries have more than one answer: none of them can be right every time."


class PatternAudit(BaseModel):
    """Counts of detected patterns and their truths.

    ``judged_rows`` have a ground truth, ``genuine_rows`` of them are right and ``other_device_rows`` right but for the
    device. ``duplicate_rows`` repeat another row whole; ``conflicting_rows`` are judged otherwise than a row that tells
    the same.
    """

    model_config = ConfigDict(frozen=True)

    rows: int
    judged_rows: int
    genuine_rows: int
    genuine_share: float | None
    other_device_rows: int
    entities: int
    homes: int
    pattern_types: dict[str, int]
    duplicate_rows: int
    conflicting_rows: int
    fingerprint: str
    cannot_show: tuple[str, ...]


FEW_ROWS_OF_A_CLASS = 50


def audit_patterns(rows: Sequence[PatternRow]) -> PatternAudit:
    """Count, fingerprint and judge detected patterns; the fingerprint does not depend on their order or source."""
    outcomes: dict[str, Counter[bool]] = defaultdict(Counter)
    written = []
    for row in rows:
        written.append(row.model_dump_json())
        if row.genuine is not None:
            told = row.model_dump_json(exclude={"expected_pattern", "expected_device"})
            outcomes[told][row.genuine] += 1
    digest = hashlib.sha256()
    for line in sorted(written):
        digest.update(line.encode())
    judged = sum(seen.total() for seen in outcomes.values())
    genuine = sum(seen[True] for seen in outcomes.values())
    counts: dict[str, Any] = {
        "rows": len(rows),
        "judged_rows": judged,
        "genuine_rows": genuine,
        "other_device_rows": sum(row.genuine is False and row.expected_pattern == row.pattern_type for row in rows),
        "entities": len({row.entity_id for row in rows}),
        "homes": len({row.home_id for row in rows if row.home_id is not None}),
        "duplicate_rows": len(rows) - len(set(written)),
        "conflicting_rows": sum(seen.total() for seen in outcomes.values() if len(seen) > 1),
    }
    return PatternAudit(
        **counts,
        genuine_share=round(genuine / judged, 6) if judged else None,
        pattern_types=dict(sorted(Counter(row.pattern_type for row in rows).items())),
        fingerprint=digest.hexdigest(),
        cannot_show=tuple(_cannot_show_of_patterns(counts)),
    )


def _cannot_show_of_patterns(n: Mapping[str, int]) -> Iterable[str]:
    judged, genuine = n["judged_rows"], n["genuine_rows"]
    wrong = judged - genuine
    if judged < n["rows"]:
        yield f"{n['rows'] - judged} of {n['rows']} rows have no ground truth: nothing is learnt from them."
    if judged and not (genuine and wrong):
        kind, other = ("genuine", "reject") if genuine else ("wrong", "accept")
        yield (
            f"Every one of {_many(judged, 'judged row')} is {kind}: one class, so there is nothing to learn to "
            f"{other}, and the model is the constant that it has learnt."
        )
    elif min(genuine, wrong) < FEW_ROWS_OF_A_CLASS:
        yield f"Only {_many(min(genuine, wrong), 'row')} of one outcome: what tells the two apart is roughly known."
    if n["entities"] < MIN_ENTITIES:
        yield (
            f"{_many(n['rows'], 'row')} are of {n['entities']} entities, fewer than {MIN_ENTITIES}: nothing is held "
            "out, so no score says how the model does on an entity not seen."
        )
    if n["homes"] < 2:
        yield "At most one home is named: nothing shows how the model does in another home."
    if n["duplicate_rows"]:
        yield f"{_many(n['duplicate_rows'], 'row')} repeat another one whole: they weigh it, they are no new evidence."
    if n["conflicting_rows"]:
        yield f"{n['conflicting_rows']} rows are judged otherwise than a row that tells the same."
