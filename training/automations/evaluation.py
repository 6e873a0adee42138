"""Score generated automations: whether they are valid, name entities of the home, and match the reference."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from home_assistant import AutomationError, dump_automation
from home_assistant.automation import Structure, structure
from home_assistant.automation_schema import check_automation
from training.automations.grounding import Grounding
from training.automations.model import Example, YamlGenerator
from training.judging.metrics import f1
from training.text.model import EXAMPLES, limit_rows, nearest_texts, text_scores


def evaluate_generator(
    generator: YamlGenerator, training: Sequence[Example], held_out: Sequence[Example]
) -> dict[str, Any]:
    """Score what is generated for at most ``MAX_EVALUATED`` of the ``held_out`` examples, beside two baselines.

    Both baselines look up the nearest training request: ``nearest_request`` answers with its automation as it is,
    ``nearest_grounded`` compares the requests without names and numbers and then fills in those of the request.

    Returns:
        ``rows``, ``model`` and ``baselines`` with the scores of ``automation_scores``, and a few ``examples``.
    """
    rows = limit_rows(held_out)
    answers = generator.automations([(example.grounding, example.home) for example in rows])
    by_request = nearest_texts([e.request for e in training], [e.request for e in rows])
    by_source = nearest_texts([e.grounding.source for e in training], [e.grounding.source for e in rows])
    grounded = [
        _restored(example.grounding, training[near].grounding.hide(training[near].automation))
        for example, near in zip(rows, by_source, strict=True)
    ]
    return {
        "rows": len(rows),
        "model": automation_scores(answers, rows),
        "baselines": {
            "nearest_request": automation_scores([training[near].automation for near in by_request], rows),
            "nearest_grounded": automation_scores(grounded, rows),
        },
        "examples": [
            {
                "request": example.request,
                "wanted": dump_automation(example.automation),
                "generated": None if answer is None else dump_automation(answer),
            }
            for example, answer in list(zip(rows, answers, strict=True))[:EXAMPLES]
        ],
    }


def _restored(grounding: Grounding, hidden: Mapping[Any, Any]) -> dict[Any, Any] | None:
    try:
        return grounding.restore(hidden)
    except AutomationError:
        return None


def automation_scores(answers: Sequence[dict[Any, Any] | None], references: Sequence[Example]) -> dict[str, float]:
    """Means over rows, from 0 to 1; a row without an answer (None) counts as wrong.

    - ``answered``: the share of rows with an answer, ``valid``: with one that passes Home Assistant's schema.
    - ``triggers_f1``, ``services_f1``, ``entities_f1``: F1 of the sets of ``structure``.
    - ``entities_exist``: of the entity ids in the answers, the share that the home has; only where some home is known.
    - ``chrf`` (0 to 100) and ``exact_match``: of the YAML, with today's keys and without id, alias and description.
    """
    named: list[bool] = []
    sums: Counter[str] = Counter()
    for answer, example in zip(answers, references, strict=True):
        if answer is None:
            continue
        found, right = structure(answer), structure(example.automation)
        sums["valid"] += _is_valid(answer)
        for part in Structure._fields:
            sums[f"{part}_f1"] += f1(getattr(found, part), getattr(right, part))  # type: ignore[assignment]
        if example.home is not None:
            named += [example.home.known.has(entity) for entity in found.entities]
    names = ("valid", *(f"{part}_f1" for part in Structure._fields))
    texts = [
        ("" if a is None else dump_automation(a), dump_automation(e.automation))
        for a, e in zip(answers, references, strict=True)
    ]
    return {
        "answered": round(sum(answer is not None for answer in answers) / len(references), 6),
        **{name: round(sums[name] / len(references), 6) for name in names},
        **({"entities_exist": round(sum(named) / len(named), 6)} if named else {}),
        **text_scores([text for text, _ in texts], [text for _, text in texts]),
    }


def _is_valid(automation: Mapping[Any, Any]) -> bool:
    try:
        check_automation(automation)
    except AutomationError:
        return False
    return True
