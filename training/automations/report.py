"""The YAML generator's scores in words and in a table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from data_sources.counting import many
from home_assistant.automation import Structure
from training.runs.wording import table_lines
from training.text.report import ScoredBy

_ANSWERS = {
    "answered": "answered", "valid": "valid", "entities exist": "entities_exist", "exact": "exact_match",
    "right": "right", "chrF": "chrf",
}  # fmt: skip
_PARTS = {"triggers": "triggers_f1", "services": "services_f1", "entities": "entities_f1"}
_HALF = {title: f"half_{key}" for title, key in (*_PARTS.items(), ("right", "right"))}

SCORED_BY = ScoredBy(
    "structure F1",
    1.0,
    {key: title for title, key in (_ANSWERS | _PARTS).items()},
    ("triggers_f1", "services_f1", "entities_f1", "valid"),
    {"nearest_request": "nearest request", "nearest_grounded": "nearest, grounded"},
)


def structure_score(scores: Mapping[str, float]) -> float:
    """Mean F1 of trigger kinds, services and entities."""
    return sum(scores[f"{part}_f1"] for part in Structure._fields) / len(Structure._fields)


def deciding_score(scores: Mapping[str, float]) -> float:
    """What decides between models: the mean F1 of the surer half of the answers, given or not.

    Counting a missing answer as a wrong one would favour a model that never admits that it does not know.
    """
    return scores["half_structure_f1"]


def verdict(metrics: dict[str, Any]) -> str:
    """One sentence for the log and the notes: whether the model's structure F1 beats the look-up baselines.

    ``metrics`` are those of ``TrainedAdapter``.
    """
    measured = metrics.get("test")
    if measured is None:
        return "Nothing was held out, so no score shows how the model does on a new request."
    best = max(deciding_score(row) for row in measured["baselines"].values())
    mine = deciding_score(measured["model"])
    beats = "beats" if mine > best else "does NOT beat"
    given = measured["model"]
    return (
        f"The model {beats} the best baseline on held-out structure (mean F1 of the surer half): {mine:.3f} against "
        f"{best:.3f}. It answers {given['answered']:.0%} of the requests, {given['right']:.0%} rightly."
    )


def score_lines(metrics: dict[str, Any]) -> list[str]:
    """The table of scores and the examples, one line each."""
    name = "test" if "test" in metrics else "in_sample"
    measured = metrics[name]
    title = "Held-out" if name == "test" else "In-sample (NOT held out)"
    lines = [f"{title} scores, {many(measured['rows'], 'row')}; triggers, services and entities are F1"]
    rows = {"this model": measured["model"]}
    rows |= {title: measured["baselines"][name] for name, title in SCORED_BY.baselines.items()}
    for heading, columns in (("answers", _ANSWERS), ("F1 of", _PARTS), ("of the surer half", _HALF)):
        cells = [[label, *(_cell(row.get(key), key) for key in columns.values())] for label, row in rows.items()]
        lines += table_lines([[heading, *columns], *cells])
    for example in measured["examples"]:
        lines.append(f"  request: {example['request']}")
        for what, automation in (("reference", example["wanted"]), ("generated", example["generated"])):
            lines += [f"  {what}:", *(f"    {line}" for line in (automation or "(none)").splitlines())]
    return [line.encode("ascii", "backslashreplace").decode() for line in lines]


def _cell(value: float | None, key: str) -> str:
    return "-" if value is None else f"{value:.1f}" if key == "chrf" else f"{value:.3f}"
