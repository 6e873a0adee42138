"""What a person reads at the end of a run: the audit, the table of scores, and a plot."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from training.judging.metrics import METRICS
from training.judging.plots import png
from training.runs.wording import many
from training.synergy.audit import AnsweredAudit, SynergyAudit
from training.synergy.feedback import FeedbackAudit

if TYPE_CHECKING:
    from training.synergy.trainer import TrainingResult


_TITLES = {
    "mrr": "MRR",
    "hits_at_10": "Hits@10",
    "auc_hard": "AUC hard",
    "ap_hard": "AP hard",
    "auc_random": "AUC rand",
    "ap_random": "AP rand",
}
_SCORERS = {
    "model": "this model",
    "domain_pair_prior": "domain-pair prior",
    "name_overlap": "name overlap",
    "prior_x_name_overlap": "prior x name overlap",
    "prior_x_same_area": "prior x same area",
}
_BELOW: dict[str, Any] = {"fontsize": "small", "loc": "upper center", "bbox_to_anchor": (0.5, -0.14), "frameon": False}


def audit_lines(audit: SynergyAudit) -> Iterable[str]:
    """The counts on two lines, then a note for each thing that they cannot show."""
    yield (
        f"Data: {audit.rows} rows, {audit.distinct_pairs} distinct pairs ({audit.directed_pairs} directed), "
        f"{audit.automations} automations, {audit.duplicate_rows} repeated rows"
    )
    yield (
        f"      {audit.homes} home{'s' * (audit.homes != 1)} ({audit.homes_with_pairs} with pairs), "
        f"{audit.enabled_entities} entities ({audit.implied_entities} named by synergies only, "
        f"{audit.disabled_entities} disabled left out), {audit.entities_with_area} with an area"
    )
    if isinstance(audit, AnsweredAudit):
        yield _feedback_line(audit.feedback)
    for line in audit.cannot_show:
        yield f"Note: {line}"


def _feedback_line(found: FeedbackAudit) -> str:
    known = f" ({found.accepted_automated} known already)" if found.accepted_automated else ""
    kept = f" ({found.dismissed_automated} automated all the same)" if found.dismissed_automated else ""
    parts = [
        f"{found.accepted} accepted{known}",
        f"{found.dismissed} dismissed{kept}",
        f"{found.unknown_entities} of unknown entities",
    ]
    parts += [f"{found.other_homes} of homes that are not here"] if found.other_homes else []
    parts += [f"{many(found.damaged_lines, 'damaged line')}"] if found.damaged_lines else []
    return f"      Answers to suggestions: {', '.join(parts)} (fingerprint {found.fingerprint[:8]})"


def split_lines(result: TrainingResult) -> Iterable[str]:
    """How the pairs were split."""
    split = result.split
    units = ", ".join(f"{part} {count}" for part, count in split["units"].items())
    pairs = ", ".join(f"{part} {count}" for part, count in split["directed_pairs"].items())
    yield f"Split: {split['reason']}"
    yield f"       units: {units}; directed pairs: {pairs}"


def score_lines(metrics: dict[str, Any]) -> Iterable[str]:
    """The table of scores of model and baselines, from ``TrainingResult.metrics``."""
    in_sample = "in_sample" in metrics
    measured = metrics["in_sample" if in_sample else "test"]
    if measured is None:
        yield "Scores: the test part holds no pair that can be ranked; nothing was measured."
        return
    yield (
        ("In-sample scores (NOT held out: " if in_sample else "Held-out scores (")
        + f"{measured['pairs']} pairs in {measured['homes']} home{'s' * (measured['homes'] != 1)}, mean over homes)"
    )
    width = max(map(len, _SCORERS.values()))
    yield f"  {'':<{width}}  " + "  ".join(f"{_TITLES[name]:>8}" for name in METRICS)
    for name, row in [("model", measured["model"]), *measured["baselines"].items()]:
        yield f"  {_SCORERS[name]:<{width}}  " + "  ".join(f"{_cell(row[metric]):>8}" for metric in METRICS)
    yield f"  calibration error of this model: {_cell(measured['model']['ece'])}"
    if measured["triggers_left_out"]:
        yield f"  {measured['triggers_left_out']} triggers of large homes were not ranked (a sample was)"
    if measured["pairs_not_ranked"]:
        yield f"  {measured['pairs_not_ranked']} pairs act on entities that cannot act and were not ranked"


def evaluation_lines(setting: str, measured: Mapping[str, Any]) -> Iterable[str]:
    """The table of one setting with intervals and thirds of homes, from ``evaluation.summarize_runs``."""
    runs = f", {measured['runs']} runs" if measured["runs"] > 1 else ""
    yield f"{setting}: {measured['pairs_a_run']:g} pairs in {measured['homes']} homes{runs}, mean over homes"
    width = max(map(len, _SCORERS.values()))
    yield f"  {'':<{width}}  " + "  ".join(f"{_TITLES[name]:>8}" for name in METRICS)
    for name, row in [("model", measured["model"]), *measured["baselines"].items()]:
        yield f"  {_SCORERS[name]:<{width}}  " + "  ".join(f"{_cell(row[metric]):>8}" for metric in METRICS)
    between = measured["model"]["interval"]
    yield "  95 % of this model: " + ", ".join(
        f"{_TITLES[metric]} {between[metric][0]:.3f} to {between[metric][1]:.3f}"
        for metric in METRICS[:3]
        if between[metric] is not None
    )
    ratio = measured["mrr_ratio"]
    yield (
        f"  MRR is {ratio['value']:.2f} times the best count, {_SCORERS[measured['best_count']]} "
        f"(95 %: {ratio['interval'][0]:.2f} to {ratio['interval'][1]:.2f}); "
        f"calibration error {_cell(measured['model']['ece'])}"
    )
    yield "  MRR by size of home, against that count: " + ", ".join(
        f"{name} {_cell(third['model'])} ({_cell(third['count'])})" for name, third in measured["thirds"].items()
    )


def baseline_comparison(metrics: dict[str, Any]) -> str:
    """One sentence: whether the model beats the best baseline on held-out pairs."""
    measured = metrics.get("test")
    if measured is None:
        return "Nothing was held out, so nothing is known of pairs that were not seen."
    name, best = max(measured["baselines"].items(), key=lambda item: item[1]["mrr"] or 0.0)
    model, count = measured["model"]["mrr"], best["mrr"]
    if model is None or count is None:
        return "The test part is too small to compare with the baselines."
    beats = "beats" if model > count else "does NOT beat"
    return f"The model {beats} the best baseline ({_SCORERS[name]}) on held-out MRR: {model:.3f} against {count:.3f}."


def _cell(value: float | None) -> str:
    return "-" if value is None or math.isnan(value) else f"{value:.3f}"


def plot(result: TrainingResult) -> bytes | None:
    """A PNG of loss, validation score and test scores.

    None where matplotlib is not installed, or nothing was held out: in-sample scores say nothing of other pairs, and
    loading matplotlib would take a sixth of such a run's time.
    """
    if not result.metrics["held_out"]:
        return None

    def draw(figure: Any) -> None:
        losses, scores = figure.subplots(1, 2, width_ratios=(1, 1.4))
        _plot_history(losses, result)
        _plot_scores(scores, result.metrics)

    return png(draw, (11, 5))


def _plot_history(axes: Any, result: TrainingResult) -> None:
    epochs = [epoch.number for epoch in result.history]
    axes.plot(epochs, [epoch.loss for epoch in result.history], color="tab:blue", marker=".", label="training loss")
    axes.set(xlabel="epoch (0: evidence alone)", ylabel="training loss", title="Loss and validation score")
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.axvline(result.best_epoch, color="grey", linestyle=":", label=f"saved: epoch {result.best_epoch}")
    handles, labels = axes.get_legend_handles_labels()
    validation = [epoch.score for epoch in result.history]
    if not all(map(math.isnan, validation)):
        right = axes.twinx()
        right.plot(epochs, validation, color="tab:orange", marker=".", label="validation (MRR + hard AUC) / 2")
        right.set_ylabel("validation score")
        more_handles, more_labels = right.get_legend_handles_labels()
        handles, labels = handles + more_handles, labels + more_labels
    axes.legend(handles, labels, **_BELOW, ncols=1)


def _plot_scores(axes: Any, metrics: dict[str, Any]) -> None:
    measured = metrics["test"]
    if measured is None:
        axes.text(0.5, 0.5, "nothing could be ranked", ha="center")
        return
    drawn: Sequence[str] = ("mrr", "hits_at_10", "auc_hard", "ap_hard")
    rows = [("model", measured["model"]), *measured["baselines"].items()]
    height = 0.8 / len(rows)
    for i, (name, row) in enumerate(rows):
        values = [row[metric] or 0.0 for metric in drawn]
        places = [k + (i - (len(rows) - 1) / 2) * height for k in range(len(drawn))]
        color = "tab:blue" if name == "model" else f"{0.45 + 0.1 * i:.2f}"
        bars = axes.barh(places, values, height, color=color, label=_SCORERS[name])
        axes.bar_label(bars, fmt="%.2f", fontsize=7, padding=2)
    axes.set_yticks(range(len(drawn)), [_TITLES[metric] for metric in drawn])
    axes.invert_yaxis()
    axes.set_xlim(0, 1.08)
    axes.set_title("Held-out pairs, mean over homes")
    axes.legend(**_BELOW, ncols=3)
