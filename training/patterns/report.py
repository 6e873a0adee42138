"""The pattern model's audit and scores in words, a table and a plot."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from data_sources.counting import many
from training.judging.plots import png
from training.pages.charts import FEW, wilson
from training.patterns.audit import PatternAudit
from training.runs.wording import table_lines

NAMES = {"model": "this model", "base_rate": "base rate", "confidence": "detector's confidence"}
COLUMNS = {"brier": "Brier", "average_precision": "AP", "roc_auc": "AUC", "ece": "calib. error"}


def audit_lines(audit: PatternAudit) -> Iterable[str]:
    """The counts on two lines, then one line for each thing that they cannot show."""
    share = "" if audit.genuine_share is None else f" ({audit.genuine_share:.1%} genuine)"
    yield (
        f"Data: {many(audit.rows, 'row')}, {audit.judged_rows} with a ground truth{share}, "
        f"{many(audit.duplicate_rows, 'repeated row')}"
    )
    yield f"      {many(audit.entities, 'entity')}, {many(audit.homes, 'named home')}"
    yield "      " + ", ".join(f"{name} {count}" for name, count in audit.pattern_types.items())
    for line in audit.cannot_show:
        yield f"Note: {line}"


def score_lines(metrics: dict[str, Any]) -> Iterable[str]:
    """The cross-validation scores of the candidates, then the scores of the model and the baselines."""
    compared = metrics["cross_validation"]
    if compared:
        yield f"Cross-validation by {compared['grouped_by']}, {compared['folds']} folds of the training part"
        yield from _table(compared["candidates"], chosen=metrics["chosen"])
    measured = metrics.get("test") or metrics["in_sample"]
    title = "Held-out scores" if "test" in metrics else "In-sample scores (NOT held out)"
    yield f"{title}: {many(measured['rows'], 'row')} of {many(measured['entities'], 'entity')}"
    yield from _table(
        {NAMES[name]: row for name, row in [("model", measured["model"]), *measured["baselines"].items()]}
    )


def _table(rows: dict[str, dict[str, float | None]], chosen: str = "") -> Iterable[str]:
    cells = {
        name: ["-" if row[key] is None else format(row[key], ".3f") for key in COLUMNS] for name, row in rows.items()
    }
    yield from table_lines(
        [
            ["", *COLUMNS.values(), ""],
            *([name, *row, "<- chosen" if name == chosen else ""] for name, row in cells.items()),
        ]
    )


def verdict(metrics: dict[str, Any]) -> str:
    """One sentence for the log and the notes: whether the model beats the base rate and the detector's confidence.

    ``metrics`` are those of ``TrainedPatterns``.
    """
    measured = metrics.get("test")
    if metrics["chosen"] == "base rate" and not metrics["cross_validation"]:
        share = (measured or metrics["in_sample"])["genuine_share"]
        return (
            f"Nothing could be learnt that tells genuine patterns from wrong ones: the constant {share:.3f} is saved."
        )
    if measured is None:
        return "Nothing was held out, so no score shows how the model does on a new entity."
    model, rivals = measured["model"], measured["baselines"]
    if model["average_precision"] is None:
        return "The patterns held out are of one class: too few to compare with the baselines."
    brier = min(row["brier"] for row in rivals.values())
    precision = max(row["average_precision"] for row in rivals.values())
    beats = "beats" if model["brier"] < brier and model["average_precision"] > precision else "does NOT beat"
    return (
        f"The model {beats} the base rate and the detector's confidence on held-out patterns: Brier score "
        f"{model['brier']:.3f} against {brier:.3f} (less is better), average precision "
        f"{model['average_precision']:.3f} against {precision:.3f}."
    )


def plot_reliability(metrics: dict[str, Any]) -> bytes | None:
    """A reliability diagram as PNG: observed share of genuine patterns over predicted probability.

    Returns None if matplotlib is not installed or nothing was held out.
    """
    measured = metrics.get("test")
    if measured is None:
        return None

    def draw(figure: Any) -> None:
        axes, counts = figure.subplots(2, 1, height_ratios=(3, 1), sharex=True)
        draw_reliability(axes, counts, measured["reliability"])
        axes.set(ylabel="share that is genuine", ylim=(-0.05, 1.05))
        axes.set_title("Held-out patterns")
        axes.legend(loc="lower right", frameon=False, fontsize="small")
        counts.set(xlabel="predicted probability", ylabel="rows", xlim=(-0.05, 1.05))

    return png(draw, (5, 6))


def draw_reliability(axes: Any, counts: Any, bins: Sequence[dict[str, float]]) -> None:
    """Draw the bins on ``axes`` and their rows on ``counts``; what rests on fewer than ``FEW`` rows is hollow."""
    axes.plot([0, 1], [0, 1], color="grey", linestyle=":", label="perfectly calibrated")
    looks: tuple[dict[str, Any], ...] = (
        {"color": "tab:blue", "label": "this model, 95 % interval"},
        {"color": "grey", "markerfacecolor": "white", "elinewidth": 0.7, "label": f"fewer than {FEW} rows"},
    )
    for few, look in enumerate(looks):
        own = [b for b in bins if (b["rows"] < FEW) == bool(few)]
        if not own:
            continue
        predicted, observed = [b["predicted"] for b in own], [b["observed"] for b in own]
        ends = [wilson(b["observed"], b["rows"]) for b in own]
        below = [share - low for share, (low, _) in zip(observed, ends, strict=True)]
        above = [high - share for share, (_, high) in zip(observed, ends, strict=True)]
        axes.errorbar(predicted, observed, yerr=[below, above], fmt="o", capsize=3, **look)
        counts.bar(predicted, [b["rows"] for b in own], width=0.06, color=look["color"])
