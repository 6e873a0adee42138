"""Counts of the synergy data before training, and what they cannot show, in plain words."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from pydantic import BaseModel, ConfigDict

from data_sources import Home
from data_sources.counting import many
from home_assistant.domains import READ_ONLY_DOMAINS
from training.judging.same_units import Marks, SameUnits, marks_of
from training.runs.distributed import all_say
from training.synergy.feedback import FeedbackAudit
from training.synergy.graph import ACTING_SHARE
from training.synergy.same_homes import HomeContent, content_of, find_same_homes, marks_of_pairs, notes_on
from training.synergy.splits import MIN_GROUPS, MIN_HOMES

FEW_PAIRS = 100  # below it a held-out score rests on a dozen pairs


class SynergyAudit(BaseModel):
    """Counts of the synergy data and what follows from them.

    Attributes:
        rows: Synergy rows read.
        distinct_pairs: Distinct (trigger, action) as written.
        directed_pairs: The same with both directions of bidirectional pairs.
        duplicate_rows: Rows beyond the first of their pair.
        homes: Homes read.
        homes_with_pairs: Homes with at least one pair.
        enabled_entities: Entities that are not disabled.
        disabled_entities: Entities left out because they are disabled.
        implied_entities: Entities that are named by a synergy only.
        rows_with_disabled_entities: Rows left out because they name a disabled entity.
        generated_pairs: Pairs that rules made, at a cold start.
        entities_in_pairs: Entities in any pair.
        entities_with_area: Entities whose area is known.
        entities_with_device: Entities whose device is known.
        areas: Distinct areas.
        automations: Distinct automations.
        conflicting_direction: Pairs whose rows disagree on the direction.
        conflicting_relationship: Pairs whose rows disagree on the type of relationship.
        conflicting_synergy_type: Pairs whose rows disagree on the type of synergy.
        synergy_types: Type of synergy -> rows.
        one_class: Field -> its value, for fields that have the same value in all rows.
        fingerprint: SHA-256 of the homes as their source has them, whatever their order and source.
        cannot_show: What the data cannot show, a sentence each.
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


class AnsweredAudit(SynergyAudit):
    """The counts of homes whose owners answered to suggestions.

    Attributes:
        feedback: What the answers are to these homes.
    """

    feedback: FeedbackAudit


@dataclass
class _Tally:
    """What is counted on some homes. Tallies of other homes can be added.

    Attributes:
        totals: The counts of ``SynergyAudit`` that add up.
        types: Type of synergy -> rows.
        confidences: All that occur.
        directed: Directed pairs, and those of them that act on sensors and the like.
        groups: ``automation`` or ``pair`` -> for each home, the marks of its own.
        contents: What ``find_same_homes`` compares, of each home.
        fingerprints: Of each home.
    """

    totals: Counter[str] = field(default_factory=Counter)
    types: Counter[str] = field(default_factory=Counter)
    confidences: set[float] = field(default_factory=set)
    directed: Counter[str] = field(default_factory=Counter)
    groups: dict[str, dict[str, Marks]] = field(default_factory=lambda: {"automation": {}, "pair": {}})
    contents: list[HomeContent] = field(default_factory=list)
    fingerprints: list[str] = field(default_factory=list)

    def add(self, home: Home) -> None:
        """Count one home."""
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
            self.types[s.synergy_type or "none"] += s.rows
            self.confidences.add(s.confidence)
            if s.automation_id is not None:
                automations.add(s.automation_id)
        self.groups["automation"][home.home_id] = marks_of(automations)
        areas = {e.area_id for e in home.entities if e.area_id is not None}
        rows = sum(s.rows for s in home.synergies)
        self.totals.update(
            homes=1,
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
        self.directed.update(all=len(domains), read_only=sum(domain in READ_ONLY_DOMAINS for domain in domains))
        content = content_of(home)
        self.contents.append(content)
        self.groups["pair"][home.home_id] = content.pairs if len(directed) == len(values) else marks_of_pairs(values)
        self.fingerprints.append(home.fingerprint())

    def plus(self, other: _Tally) -> None:
        """Add what was counted on other homes."""
        for own, more in ((self.totals, other.totals), (self.types, other.types), (self.directed, other.directed)):
            own.update(more)
        self.confidences |= other.confidences
        for name, found in other.groups.items():
            self.groups[name] |= found
        self.contents += other.contents
        self.fingerprints += other.fingerprints

    def audit(self) -> SynergyAudit:
        """The audit of all homes that were counted."""
        totals, types = self.totals, self.types
        same = find_same_homes(self.contents)
        counts: dict[str, Any] = {name: totals[name] for name in SynergyAudit.model_fields if name in totals}
        number_of_groups = _count(self.groups["automation"], same) or _count(self.groups["pair"], same)
        units = _Units(len(set(same.first.values())), number_of_groups)
        one_class = {"synergy_type": next(iter(types))} if len(types) == 1 else {}
        if len(self.confidences) == 1 and totals["distinct_pairs"] > 1:
            one_class["confidence"] = repr(next(iter(self.confidences)))
        return SynergyAudit(
            **{**dict.fromkeys(_COUNTS, 0), **counts},
            synergy_types=dict(sorted(types.items())),
            one_class=one_class,
            fingerprint=digest_of(self.fingerprints),
            cannot_show=(
                *notes_on(same),
                *_cannot_show(Counter(counts), one_class, self.directed, units),
            ),
        )


def _count(groups: Mapping[str, Marks], same: SameUnits) -> int:
    """How many groups there are, those of one home's exports once."""
    own: dict[str, list[Marks]] = defaultdict(list)
    for home_id, marks in groups.items():
        own[same.first.get(home_id, home_id)].append(marks)
    return sum(len(np.unique(np.concatenate(marks))) for marks in own.values())


def audit_homes(homes: Iterable[Home]) -> SynergyAudit:
    """The audit of homes, those of all processes. It does not depend on their order or source."""
    own = _Tally()
    for home in homes:
        own.add(home)
    tally = _Tally()
    for part in all_say(own):
        tally.plus(part)
    return tally.audit()


_COUNTS = tuple(name for name, info in SynergyAudit.model_fields.items() if info.annotation is int)


def fingerprint(homes: Iterable[Home]) -> str:
    """SHA-256 of the homes' fingerprints, sorted."""
    return digest_of(home.fingerprint() for home in homes)


def digest_of(fingerprints: Iterable[str]) -> str:
    """SHA-256 of the fingerprints of homes, sorted."""
    digest = hashlib.sha256()
    for value in sorted(fingerprints):
        digest.update(value.encode())
    return digest.hexdigest()


class _Units(NamedTuple):
    """Homes with pairs, and automations (without any, pairs), where the exports of one home count once."""

    homes: int
    groups: int


def _cannot_show(
    n: Counter[str], one_class: dict[str, str], directed: Mapping[str, int], units: _Units
) -> Iterable[str]:
    pairs, read_only, actions = n["distinct_pairs"], directed["read_only"], directed["all"]
    if n["generated_pairs"]:
        yield (
            f"{many(n['generated_pairs'], 'pair')} generated from rules, for no synergy is known yet: nobody has "
            "validated them, and a score only says how well the rules are repeated."
        )
    if units.homes < MIN_HOMES and units.groups < MIN_GROUPS:
        again = f"{n['rows']} rows are only {many(pairs, 'distinct pair')}: " if n["rows"] > pairs else ""
        yield (
            f"{again}{many(pairs, 'distinct pair')} allow{'s' * (pairs == 1)} no held-out score, so what a training on "
            "them scores is in-sample and says nothing about pairs not seen."
        )
    elif pairs < FEW_PAIRS:
        yield f"{many(pairs, 'distinct pair')}: a held-out score rests on few pairs and moves a lot with each of them."
    if n["duplicate_rows"] > pairs:
        yield f"Rows that repeat a pair: {n['duplicate_rows']} of {n['rows']}. They weigh it, and are no new evidence."
    if 0 < units.homes < MIN_HOMES:
        yield (
            f"{many(units.homes, 'home')} with pairs: nothing shows how the model does in another home "
            f"(that needs {MIN_HOMES})."
        )
    without = n["homes"] - n["homes_with_pairs"]
    if without:
        yield f"{many(without, 'home')} without a synergy: nothing is learnt from or judged on them."
    if not n["entities_with_area"]:
        yield "No entity has an area: what rooms tell cannot be learnt; only names may carry the room."
    elif n["entities_with_area"] < 0.5 * n["enabled_entities"]:
        yield f"With an area: only {n['entities_with_area']} of {many(n['enabled_entities'], 'entity')}."
    for target, value in one_class.items():
        yield f"All rows have the same {target} ({value}), so nothing can be learnt from its differences."
    for name in ("direction", "relationship", "synergy_type"):
        if n[f"conflicting_{name}"]:
            yield f"{many(n[f'conflicting_{name}'], 'pair')} with rows that disagree on {name}."
    if n["rows_with_disabled_entities"]:
        yield f"{many(n['rows_with_disabled_entities'], 'row')} left out: they name a disabled entity."
    if 0 < read_only < ACTING_SHARE * actions:
        yield (
            f"{read_only} of {actions} directed pairs act on sensors and the like, which take no action: "
            "some of these are not trained on or ranked."
        )
    yield "A pair that is missing does not prove that two entities are unrelated."
