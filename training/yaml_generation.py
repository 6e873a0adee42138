"""Requests in plain words -> Home Assistant automations: trained as lines of words, judged as automations.

The model reads a request without the names and numbers of its home (``grounding``) and writes the line of an automation
(``automation.to_linear``); what it writes is given names and numbers again and held to Home Assistant's schema.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from data_sources import AutomationError, YamlRow, dump_automation, parse_automation
from training.automation import acts_on_its_own, f1, from_linear, modernized, structure, to_linear
from training.automation_schema import check_automation
from training.base_model import TextPair
from training.grounding import Grounding, Home
from training.seq2seq import (
    EXAMPLES,
    JUDGED_ROWS,
    MIN_GROUPS,
    Result,
    Scratch,
    Seq2SeqConfig,
    Split,
    Suggester,
    plain,
    split_by_query,
    split_by_unit,
    text_scores,
    train,
)
from training.splits import PARTS, Part, sealed

log = logging.getLogger("training.yaml_generation")

BEAMS = 8  # candidates looked at where the likeliest answer does not hold
CHARACTERS_A_TOKEN = 3  # of a line, at least: a longer one would be cut, and teach to stop anywhere
SCRATCH = Scratch(pieces="bpe", epochs=60, rows=20_000)
_ABOUT = ("id", "alias", "description")  # what says nothing of what the automation does
HOMES_KEPT = 64  # vectors of the entities of as many homes


class Example(NamedTuple):
    """One row as the model is to see it; ``home`` is None where the entities are not known."""

    request: str
    automation: dict[Any, Any]
    home: Home | None
    grounding: Grounding

    @property
    def pair(self) -> TextPair:
        """What the model reads and what it should write."""
        return TextPair(self.grounding.source, to_linear(self.grounding.hide(self.automation)))


def examples(rows: Iterable[YamlRow]) -> list[Example]:
    """The rows with their automations in one spelling, without id, alias and description."""
    home_of = lru_cache(HOMES_KEPT)(Home)
    made = []
    for row in rows:
        home = home_of(row.entities) if row.entities else None
        made.append(Example(row.input, _what_it_does(parse_automation(row.output)), home, Grounding(row.input, home)))
    return made


def _what_it_does(automation: Mapping[Any, Any]) -> dict[Any, Any]:
    return {key: value for key, value in modernized(automation).items() if key not in _ABOUT}


def split_by_home(rows: Sequence[YamlRow]) -> Split:
    """Whole homes are held out where they are known and enough, else whole queries."""
    homes = [row.home_id for row in rows if row.home_id is not None]
    distinct = len(set(homes))
    if distinct < MIN_GROUPS or len(homes) < len(rows):
        return split_by_query([TextPair(row.input, row.output) for row in rows])
    return split_by_unit(homes, "home", f"{distinct} homes: whole homes are held out")


def learn(
    rows: Sequence[YamlRow],
    config: Seq2SeqConfig,
    work: Path,
    *,
    split: Split | None = None,
    **options: Any,
) -> Result:
    """Train on ``rows`` and judge what is generated for homes that were held out; ``options`` are ``train``'s."""
    parts, described = split or split_by_home(rows)
    longest = CHARACTERS_A_TOKEN * config.target_max_tokens
    made = [_Made(*one, one[1].pair) for one in zip(rows, examples(rows), parts, strict=True)]
    kept = [one for one in made if one.part == "test" or len(one.pair.target) <= longest]
    if len(kept) < len(rows):
        described = {**described, "too_long": len(rows) - len(kept)}
        log.info(
            "Left out of training: %d automations of more than %d characters; --target-max-tokens takes longer ones",
            described["too_long"],
            longest,
        )
    by_part = {part: [one.example for one in kept if one.part == part] for part in PARTS}

    def judged_by(model: Any, tokenizer: Any, _training: Any, _judged: Any, config: Seq2SeqConfig) -> dict[str, Any]:
        generator = YamlGenerator(Suggester(model, tokenizer, config))
        return judge(generator, by_part["train"], by_part["test"] or by_part["train"])

    pairs, kept_split = [one.pair for one in kept], ([one.part for one in kept], described)
    result = train(pairs, config, work, split=kept_split, judged_by=judged_by, scratch=SCRATCH, **options)
    seen = [one.row for one in kept if one.part != "test"]
    return replace(result, trained_on=sealed(unit for row in seen for unit in row_units(row)))


class _Made(NamedTuple):
    row: YamlRow
    example: Example
    part: Part
    pair: TextPair


def row_units(row: YamlRow) -> tuple[str, str]:
    """What a row is a unit of, for ``splits.sealed``: its home, and its request."""
    return f"home {row.home_id}", f"request {plain(row.input)}"


class YamlGenerator:
    """A trained model, for use."""

    def __init__(self, suggester: Suggester) -> None:
        self._suggester = suggester

    @classmethod
    def load(cls, directory: str | Path) -> YamlGenerator:
        """A run directory (or ``latest``). Raises ModelFileError where it is none, or its base cannot be had."""
        return cls(Suggester.load(directory))

    def generate(self, text: str, entities: Iterable[str | Mapping[str, Any]] | None = None) -> str | None:
        """YAML of an automation that does what ``text`` asks for, named by it.

        ``entities`` are those of the home: ids, or objects with an ``entity_id``.

        What is returned passes Home Assistant's schema, calls no service of one domain on an entity of another, and
        names, where ``entities`` are given, none but them. None where the model has no such
        answer.
        """
        home = None
        if entities is not None:
            home = Home(entity if isinstance(entity, str) else str(entity["entity_id"]) for entity in entities)
        (automation,) = self.automations([(Grounding(text, home), home)])
        return None if automation is None else dump_automation({"alias": text, **automation})

    @property
    def described(self) -> Mapping[str, Any]:
        """What ``training_run.json`` says of the model."""
        return self._suggester.described

    def automations(self, asked: Sequence[tuple[Grounding, Home | None]]) -> list[dict[Any, Any] | None]:
        """For each request the first of the model's answers that holds, without its name; many at a time are quicker.

        The likeliest answers come first; only for those that do not hold, ``BEAMS`` candidates are looked at.
        """
        found: list[dict[Any, Any] | None] = [None] * len(asked)
        for beams in (1, BEAMS):
            open_ = [i for i, automation in enumerate(found) if automation is None]
            lines = self._suggester.candidates([asked[i][0].source for i in open_], beams)
            for i, candidates in zip(open_, lines, strict=True):
                held = (_held(line, *asked[i]) for line in candidates)
                found[i] = next((automation for automation in held if automation is not None), None)
        return found


def _held(line: str, grounding: Grounding, home: Home | None) -> dict[Any, Any] | None:
    """The automation of a line, where it is one and fits the home."""
    try:
        automation = grounding.restore(from_linear(line))
        check_automation(automation)
    except AutomationError:
        return None
    fits = acts_on_its_own(automation) and (home is None or structure(automation).entities <= home.known)
    return automation if fits else None


# -- Judging -----------------------------------------------------------------------------------------------------------


def judge(generator: YamlGenerator, training: Sequence[Example], judged: Sequence[Example]) -> dict[str, Any]:
    """What is generated for ``judged`` requests against what was wanted, beside two baselines that only look up.

    ``nearest_request`` answers with the automation of the nearest training request (cosine of TF-IDF vectors), as it
    is; ``nearest_grounded`` looks the request up without its names and numbers, and puts them into what it finds.
    """
    if len(judged) > JUDGED_ROWS:
        chosen = np.random.default_rng(0).choice(len(judged), JUDGED_ROWS, replace=False)
        judged = [judged[i] for i in sorted(chosen.tolist())]
    answers = generator.automations([(example.grounding, example.home) for example in judged])
    plain = _nearest([example.request for example in training], [example.request for example in judged])
    hidden = _nearest([e.grounding.source for e in training], [e.grounding.source for e in judged])
    grounded = [
        _restored(example.grounding, training[near].grounding.hide(training[near].automation))
        for example, near in zip(judged, hidden, strict=True)
    ]
    return {
        "rows": len(judged),
        "model": automation_scores(answers, judged),
        "baselines": {
            "nearest_request": automation_scores([training[near].automation for near in plain], judged),
            "nearest_grounded": automation_scores(grounded, judged),
        },
        "examples": [
            {
                "request": example.request,
                "wanted": to_linear(example.automation),
                "generated": None if answer is None else to_linear(answer),
            }
            for example, answer in list(zip(judged, answers, strict=True))[:EXAMPLES]
        ],
    }


def _nearest(known: Sequence[str], requests: Sequence[str]) -> list[int]:
    from sklearn.feature_extraction.text import TfidfVectorizer

    vectorizer = TfidfVectorizer(token_pattern=r"\w+", ngram_range=(1, 2))
    vectors = vectorizer.fit_transform([text or "-" for text in known])
    return np.asarray((vectorizer.transform(list(requests)) @ vectors.T).argmax(axis=1)).ravel().tolist()


def _restored(grounding: Grounding, hidden: Mapping[Any, Any]) -> dict[Any, Any] | None:
    try:
        return grounding.restore(hidden)
    except AutomationError:
        return None


def automation_scores(answers: Sequence[dict[Any, Any] | None], wanted: Sequence[Example]) -> dict[str, float]:
    """Means over rows, from 0 to 1; no answer counts as a wrong one.

    ``valid`` is the share that passes the schema, ``entities_exist`` that of the entity ids in answers that the home
    has (where its entities are known), ``*_f1`` the F1 of trigger kinds, services and entity ids; ``chrf`` (0 to 100)
    and ``exact_match`` compare the YAML of both in one spelling, without what only names them.
    """
    named: list[bool] = []
    sums: Counter[str] = Counter()
    for answer, example in zip(answers, wanted, strict=True):
        if answer is None:
            continue
        found, right = structure(answer), structure(example.automation)
        sums["valid"] += _is_valid(answer)
        for part in ("triggers", "services", "entities"):
            sums[f"{part}_f1"] += f1(getattr(found, part), getattr(right, part))  # type: ignore[assignment]
        if example.home is not None:
            named += [entity in example.home.known for entity in found.entities]
    names = ("valid", "triggers_f1", "services_f1", "entities_f1")
    texts = [
        ("" if a is None else dump_automation(a), dump_automation(e.automation))
        for a, e in zip(answers, wanted, strict=True)
    ]
    return {
        "answered": round(sum(answer is not None for answer in answers) / len(wanted), 6),
        **{name: round(sums[name] / len(wanted), 6) for name in names},
        **({"entities_exist": round(sum(named) / len(named), 6)} if named else {}),
        **text_scores([text for text, _ in texts], [text for _, text in texts]),
    }


def _is_valid(automation: Mapping[Any, Any]) -> bool:
    try:
        check_automation(automation)
    except AutomationError:
        return False
    return True
