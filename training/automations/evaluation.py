"""Score generated automations: whether they are valid, name entities of the home, and match the reference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from home_assistant import AutomationError, dump_automation
from home_assistant.automation import Structure, structure
from home_assistant.automation_schema import check_automation
from training.automations.grounding import Grounding
from training.automations.model import Example, YamlGenerator
from training.automations.report import structure_score
from training.judging.intervals import interval_of_mean
from training.judging.metrics import f1
from training.text.model import EXAMPLES, limit_rows, nearest_texts, text_scores

Answer = dict[Any, Any] | None
_OF_A_ROW = ("answered", "valid", *(f"{part}_f1" for part in Structure._fields))


def evaluate_generator(
    generator: YamlGenerator, training: Sequence[Example], held_out: Sequence[Example]
) -> dict[str, Any]:
    """Score what is generated for at most ``MAX_EVALUATED`` of the ``held_out`` examples, beside two baselines.

    Both baselines look up the nearest training request: ``nearest_request`` answers with its automation as it is,
    ``nearest_grounded`` compares the requests without names and numbers and then fills in those of the request.

    Returns:
        ``rows``, ``model`` and ``baselines`` with the scores of ``automation_scores``, ``intervals`` of these, a few
        ``examples``, and all ``answers``: what was ``asked``, ``wanted`` and ``answered``, and the ``score`` of each.
    """
    rows = limit_rows(held_out)
    answers = generator.automations([(example.grounding, example.home) for example in rows])
    by_request = nearest_texts([e.request for e in training], [e.request for e in rows])
    by_source = nearest_texts([e.grounding.source for e in training], [e.grounding.source for e in rows])
    grounded = [
        _restored(example.grounding, training[near].grounding.hide(training[near].automation))
        for example, near in zip(rows, by_source, strict=True)
    ]
    looked_up: dict[str, Sequence[Answer]] = {
        "nearest_request": [training[near].automation for near in by_request],
        "nearest_grounded": grounded,
    }
    shown = [
        {
            "asked": example.request,
            "wanted": dump_automation(example.automation),
            "answered": None if answer is None else dump_automation(answer),
            "score": structure_score(_row_scores(answer, example)),
        }
        for example, answer in zip(rows, answers, strict=True)
    ]
    return {
        "rows": len(rows),
        "model": automation_scores(answers, rows),
        "baselines": {name: automation_scores(own, rows) for name, own in looked_up.items()},
        "intervals": {name: automation_intervals(own, rows) for name, own in {"model": answers, **looked_up}.items()},
        "examples": [
            {"request": one["asked"], "wanted": one["wanted"], "generated": one["answered"]} for one in shown[:EXAMPLES]
        ],
        "answers": shown,
    }


def _restored(grounding: Grounding, hidden: Mapping[Any, Any]) -> dict[Any, Any] | None:
    try:
        return grounding.restore(hidden)
    except AutomationError:
        return None


def automation_scores(answers: Sequence[Answer], references: Sequence[Example]) -> dict[str, float]:
    """Means over rows, from 0 to 1; a row without an answer (None) counts as wrong.

    - ``answered``: the share of rows with an answer, ``valid``: with one that passes Home Assistant's schema.
    - ``triggers_f1``, ``services_f1``, ``entities_f1``: F1 of the sets of ``structure``.
    - ``entities_exist``: of the entity ids in the answers, the share that the home has; only where some home is known.
    - ``chrf`` (0 to 100) and ``exact_match``: of the YAML, with today's keys and without id, alias and description.
    """
    rows = [_row_scores(answer, example) for answer, example in zip(answers, references, strict=True)]
    named = [
        example.home.known.has(entity)
        for answer, example in zip(answers, references, strict=True)
        if answer is not None and example.home is not None
        for entity in structure(answer).entities
    ]
    texts = [
        ("" if a is None else dump_automation(a), dump_automation(e.automation))
        for a, e in zip(answers, references, strict=True)
    ]
    return {
        **{name: round(sum(row[name] for row in rows) / len(rows), 6) for name in _OF_A_ROW},
        **({"entities_exist": round(sum(named) / len(named), 6)} if named else {}),
        **text_scores([text for text, _ in texts], [text for _, text in texts]),
    }


def automation_intervals(
    answers: Sequence[Answer], references: Sequence[Example]
) -> dict[str, tuple[float, float] | None]:
    """95 % intervals of the means of ``automation_scores`` over rows."""
    rows = [_row_scores(answer, example) for answer, example in zip(answers, references, strict=True)]
    return {name: interval_of_mean(np.array([row[name] for row in rows], dtype=np.float64)) for name in _OF_A_ROW}


def _row_scores(answer: Answer, example: Example) -> dict[str, float]:
    if answer is None:
        return dict.fromkeys(_OF_A_ROW, 0.0)
    found, right = structure(answer), structure(example.automation)
    scores = {f"{part}_f1": f1(getattr(found, part), getattr(right, part)) for part in Structure._fields}
    return {"answered": 1.0, "valid": float(_is_valid(answer)), **scores}


def _is_valid(automation: Mapping[Any, Any]) -> bool:
    try:
        check_automation(automation)
    except AutomationError:
        return False
    return True
