"""Score generated automations: whether they are valid, name entities of the home, and match the reference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from home_assistant import AutomationError, dump_automation
from home_assistant.automation import Structure, structure
from home_assistant.automation_schema import check_automation
from training.automations.confidence import is_right
from training.automations.grounding import Grounding
from training.automations.model import Answer, Example, YamlGenerator
from training.automations.report import structure_score
from training.judging.intervals import interval_of_mean
from training.judging.metrics import f1
from training.text.model import EXAMPLES, limit_rows, nearest_texts, text_scores

Automation = dict[Any, Any] | None
_OF_A_ROW = ("answered", "valid", "right", *(f"{part}_f1" for part in Structure._fields))


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
    found = {"model": generator.answers([example.grounding for example in rows]), **look_ups(training, rows)}
    given = {name: [one.automation if one.given else None for one in own] for name, own in found.items()}
    scores = {name: {**automation_scores(own, rows), **half_scores(found[name], rows)} for name, own in given.items()}
    answers = given["model"]
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
        "model": scores.pop("model"),
        "baselines": scores,
        "intervals": {name: automation_intervals(own, rows) for name, own in given.items()},
        "examples": [
            {"request": one["asked"], "wanted": one["wanted"], "generated": one["answered"]} for one in shown[:EXAMPLES]
        ],
        "answers": shown,
    }


def look_ups(training: Sequence[Example], rows: Sequence[Example]) -> dict[str, list[Answer]]:
    """The answers of the two baselines; how near the looked-up request is says how sure they are."""
    by_request = nearest_texts([e.request for e in training], [e.request for e in rows])
    by_source = nearest_texts([e.grounding.source for e in training], [e.grounding.source for e in rows])
    return {
        "nearest_request": [Answer(training[near].automation, cosine, given=True) for near, cosine in by_request],
        "nearest_grounded": [
            Answer(_restored(row.grounding, training[near].grounding.hide(training[near].automation)), cosine, True)
            for row, (near, cosine) in zip(rows, by_source, strict=True)
        ],
    }


def half_scores(answers: Sequence[Answer], references: Sequence[Example]) -> dict[str, float]:
    """What the surer half of the answers is worth, given or not: mean F1s and the share that ``is_right``.

    ``structure_f1`` is the mean of the three F1s. Of equal ones the earlier rows count.
    """
    surest = sorted(range(len(answers)), key=lambda i: answers[i].order, reverse=True)[: max(1, len(answers) // 2)]
    scores = automation_scores([answers[i].automation for i in surest], [references[i] for i in surest])
    names = ("right", *(f"{part}_f1" for part in Structure._fields))
    return {**{f"half_{name}": scores[name] for name in names}, "half_structure_f1": round(structure_score(scores), 6)}


def _restored(grounding: Grounding, hidden: Mapping[Any, Any]) -> dict[Any, Any] | None:
    try:
        return grounding.restore(hidden)
    except AutomationError:
        return None


def automation_scores(answers: Sequence[Automation], references: Sequence[Example]) -> dict[str, float]:
    """Means over rows, from 0 to 1; a row without an answer (None) counts as wrong.

    - ``answered``: the share of rows with an answer, ``valid``: with one that passes Home Assistant's schema,
      ``right``: with one that ``is_right``.
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
    answers: Sequence[Automation], references: Sequence[Example]
) -> dict[str, tuple[float, float] | None]:
    """95 % intervals of the means of ``automation_scores`` over rows."""
    rows = [_row_scores(answer, example) for answer, example in zip(answers, references, strict=True)]
    return {name: interval_of_mean(np.array([row[name] for row in rows], dtype=np.float64)) for name in _OF_A_ROW}


def _row_scores(answer: Automation, example: Example) -> dict[str, float]:
    if answer is None:
        return dict.fromkeys(_OF_A_ROW, 0.0)
    found, right = structure(answer), structure(example.automation)
    scores = {f"{part}_f1": f1(getattr(found, part), getattr(right, part)) for part in Structure._fields}
    return {
        "answered": 1.0,
        "valid": float(is_valid(answer)),
        "right": float(is_right(answer, example.automation)),
        **scores,
    }


def is_valid(automation: Mapping[Any, Any]) -> bool:
    """Whether Home Assistant accepts an automation (``check_automation``)."""
    try:
        check_automation(automation)
    except AutomationError:
        return False
    return True
