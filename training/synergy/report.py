"""What a person reads at the end of a run: the audit, the table of scores, and a plot."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from data_sources.counting import many, plural
from training.judging.metrics import METRICS
from training.judging.plots import png
from training.runs.wording import table_lines
from training.synergy.audit import AnsweredAudit, SynergyAudit
from training.synergy.feedback import FeedbackAudit

if TYPE_CHECKING:
    from training.synergy.trainer import TrainingResult


TITLES = {
    "mrr": "MRR",
    "hits_at_10": "Hits@10",
    "auc_hard": "AUC hard",
    "ap_hard": "AP hard",
    "auc_random": "AUC rand",
    "ap_random": "AP rand",
}
SCORERS = {
    "model": "this model",
    "domain_pair_prior": "domain-pair prior",
    "name_overlap": "name overlap",
    "prior_x_name_overlap": "prior x name overlap",
    "prior_x_same_area": "prior x same area",
}
LEAST_RANGE = 0.1  # of an axis of validation scores: less would make a drama of noise
# Colour and hatch of the model and each baseline; they differ in lightness too (Okabe and Ito, 2008).
_LOOKS = (("#0072b2", ""), ("#e69f00", "//"), ("#009e73", ".."), ("#cc79a7", "\\\\"), ("#555555", "xx"))
_BELOW: dict[str, Any] = {"fontsize": "small", "loc": "upper center", "bbox_to_anchor": (0.5, -0.14), "frameon": False}


def audit_lines(audit: SynergyAudit) -> Iterable[str]:
    """The counts on three lines, then a note for each thing that they cannot show."""
    yield (
        f"Data: {many(audit.rows, 'row')}, {many(audit.distinct_pairs, 'distinct pair')} ({audit.directed_pairs} "
        f"directed), {many(audit.duplicate_rows, 'repeated row')}"
    )
    yield (
        f"      {many(audit.automations, 'automation')} that join{'s' * (audit.automations == 1)} entities, "
        f"{many(audit.homes, 'home')} ({audit.homes_with_pairs} with pairs), {many(audit.enabled_entities, 'entity')}"
    )
    yield (
        f"      {audit.entities_with_area} of these with an area, {audit.implied_entities} named by synergies only; "
        f"{audit.disabled_entities} disabled left out"
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
    yield f"       units: {units}"
    yield f"       directed pairs: {pairs}"


def score_lines(metrics: dict[str, Any]) -> Iterable[str]:
    """The table of scores of model and baselines, from ``TrainingResult.metrics``."""
    in_sample = "in_sample" in metrics
    measured = metrics["in_sample" if in_sample else "test"]
    if measured is None:
        yield "Scores: the test part holds no pair that can be ranked; nothing was measured."
        return
    yield (
        ("In-sample scores (NOT held out: " if in_sample else "Held-out scores (")
        + f"{many(measured['pairs'], 'pair')} in {many(measured['homes'], 'home')}, mean over homes)"
    )
    yield from _table(measured)
    yield f"  calibration error of this model: {_cell(measured['model']['ece'])}"
    if measured["triggers_left_out"]:
        yield f"  triggers of large homes that were not ranked (a sample was): {measured['triggers_left_out']}"
    if measured["pairs_not_ranked"]:
        yield f"  pairs that act on entities that cannot act, and were not ranked: {measured['pairs_not_ranked']}"


def evaluation_lines(setting: str, measured: Mapping[str, Any]) -> Iterable[str]:
    """The table of one setting with intervals and thirds of homes, from ``evaluation.summarize_runs``."""
    runs = f", {measured['runs']} runs" if measured["runs"] > 1 else ""
    each = measured["pairs_a_run"]
    pairs = f"{each:g} {'pair' if each == 1 else plural('pair')}"
    yield f"{setting}: {pairs} in {many(measured['homes'], 'home')}{runs}, mean over homes"
    yield from _table(measured)
    between = measured["model"]["interval"]
    known = [
        f"{TITLES[metric]} {between[metric][0]:.3f} to {between[metric][1]:.3f}"
        for metric in METRICS[:3]
        if between[metric] is not None
    ]
    yield "  95 % of this model: " + (", ".join(known) or "unknown, for there are too few homes")
    ratio = measured["mrr_ratio"]
    ends = ratio["interval"]
    yield (
        f"  MRR is {ratio['value']:.2f} times the best count, {SCORERS[measured['best_count']]}"
        f"{'' if ends is None else f' (95 %: {ends[0]:.2f} to {ends[1]:.2f})'}; "
        f"calibration error {_cell(measured['model']['ece'])}"
    )
    yield "  MRR by size of home, against that count: " + ", ".join(
        f"{name} {_cell(third['model'])} ({_cell(third['count'])})" for name, third in measured["thirds"].items()
    )


def _table(measured: Mapping[str, Any]) -> Iterable[str]:
    rows = [("model", measured["model"]), *measured["baselines"].items()]
    yield from table_lines(
        [
            ["", *(TITLES[metric] for metric in METRICS)],
            *([SCORERS[name], *(_cell(row[metric]) for metric in METRICS)] for name, row in rows),
        ]
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
    return f"The model {beats} the best baseline ({SCORERS[name]}) on held-out MRR: {model:.3f} against {count:.3f}."


def _cell(value: float | None) -> str:
    return "-" if value is None or math.isnan(value) else f"{value:.3f}"


def validation_noise(result: TrainingResult) -> float | None:
    """Half of a 95 % interval around the validation score, at most; None where there is no such score.

    A mean of ``n`` values from 0 to 1 with the mean ``m`` has a standard error of at most sqrt(m (1 - m) / n).
    """
    scores = [epoch.score for epoch in result.history if not math.isnan(epoch.score)]
    if not scores or not result.validation_pairs:
        return None
    middle = sum(scores) / len(scores)
    return 1.96 * math.sqrt(middle * (1 - middle) / result.validation_pairs)


def plot(result: TrainingResult) -> bytes | None:
    """A PNG of loss, validation score and test scores.

    None where matplotlib is not installed, or nothing was held out: in-sample scores say nothing of other pairs, and
    loading matplotlib would take a sixth of such a run's time.
    """
    if not result.metrics["held_out"]:
        return None

    def draw(figure: Any) -> None:
        grid = figure.add_gridspec(2, 2, width_ratios=(1, 1.4))
        loss = figure.add_subplot(grid[0, 0])
        _plot_loss(loss, result)
        _plot_validation(figure.add_subplot(grid[1, 0], sharex=loss), result)
        _plot_scores(figure.add_subplot(grid[:, 1]), result.metrics)

    return png(draw, (11, 6))


def _plot_loss(axes: Any, result: TrainingResult) -> None:
    epochs = [epoch.number for epoch in result.history]
    axes.plot(epochs, [epoch.loss for epoch in result.history], color="tab:blue", marker=".")
    axes.set(ylabel="training loss", title="Loss and validation score")
    axes.axvline(result.best_epoch, color="tab:red", linestyle=":")
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.tick_params(labelbottom=False)


def _plot_validation(axes: Any, result: TrainingResult) -> None:
    """The validation score on an axis that shows noise as noise: a tenth wide at least, with the band of chance."""
    epochs, scores = [epoch.number for epoch in result.history], [epoch.score for epoch in result.history]
    axes.set(xlabel="epoch (0: evidence alone)", ylabel="(MRR + hard AUC) / 2")
    axes.axvline(result.best_epoch, color="tab:red", linestyle=":", label=f"saved: epoch {result.best_epoch}")
    noise = validation_noise(result)
    if noise is None:
        axes.set_yticks([])
        axes.text(0.5, 0.5, "nothing is held out for validation", ha="center", transform=axes.transAxes)
    else:
        below, above = [score - noise for score in scores], [score + noise for score in scores]
        label = f"95 % of chance, {many(result.validation_pairs, 'pair')}"
        axes.fill_between(epochs, below, above, color="tab:orange", alpha=0.2, linewidth=0, label=label)
        axes.plot(epochs, scores, color="tab:orange", marker=".", label="validation score")
        known = [score for score in scores if not math.isnan(score)]
        middle = (min(known) + max(known)) / 2
        half = max(LEAST_RANGE / 2, (max(known) - min(known)) / 2 + noise)
        axes.set_ylim(middle - 1.05 * half, middle + 1.05 * half)
    axes.legend(**(_BELOW | {"bbox_to_anchor": (0.5, -0.28)}), ncols=2)


def _plot_scores(axes: Any, metrics: dict[str, Any]) -> None:
    """Bars of model and baselines, told apart by colour and hatch; one that is not defined has no bar and says so."""
    measured = metrics["test"]
    if measured is None:
        axes.text(0.5, 0.5, "nothing could be ranked", ha="center")
        return
    drawn: Sequence[str] = ("mrr", "hits_at_10", "auc_hard", "ap_hard")
    rows = [("model", measured["model"]), *measured["baselines"].items()]
    height = 0.8 / len(rows)
    for i, (name, row) in enumerate(rows):
        values = [row[metric] for metric in drawn]
        places = [k + (i - (len(rows) - 1) / 2) * height for k in range(len(drawn))]
        color, hatch = _LOOKS[i % len(_LOOKS)]
        lengths = [0.0 if value is None else value for value in values]
        bars = axes.barh(places, lengths, height, color=color, hatch=hatch, edgecolor="white", label=SCORERS[name])
        labels = ["not defined" if value is None else f"{value:.2f}" for value in values]
        axes.bar_label(bars, labels, fontsize=7, padding=2)
    axes.set_yticks(range(len(drawn)), [TITLES[metric] for metric in drawn])
    axes.invert_yaxis()
    axes.set_xlim(0, 1.08)
    axes.set_title("Held-out pairs, mean over homes")
    axes.legend(**_BELOW, ncols=3)
