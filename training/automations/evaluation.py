"""Judge generated automations: valid, made for the home, and built of what was asked for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from home_assistant import AutomationError, dump_automation
from home_assistant.automation import structure
from home_assistant.automation_schema import check_automation
from training.automations.grounding import Grounding
from training.automations.linear import to_linear
from training.automations.model import Example, YamlGenerator
from training.judging.metrics import f1
from training.text.model import EXAMPLES, JUDGED_ROWS, text_scores

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


_STRUCTURE = ("triggers_f1", "services_f1", "entities_f1")


def structure_score(scores: dict[str, float]) -> float:
    """Mean F1 of trigger kinds, services and entities."""
    return sum(scores[name] for name in _STRUCTURE) / len(_STRUCTURE)
