"""The page of a training of the synergy model: the split, the training, the scores, and pictures of homes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from data_sources import Home
from data_sources.counting import many
from training.judging.metrics import METRICS
from training.pages.charts import Bar, Curve, curve_chart, reliability_chart, score_chart
from training.pages.home_picture import Arrow, HomePicture, Place, picture_of
from training.pages.rendering import number
from training.runs.page import Section, Table, run_page, split_section
from training.runs.summary import TrainingSummary
from training.synergy.graph import build_graph
from training.synergy.report import SCORERS, TITLES, validation_noise

if TYPE_CHECKING:
    from training.synergy.model import SynergyModel
    from training.synergy.trainer import TrainingResult

PICTURES = 3  # homes at most
PICTURED = 4_000  # entities of all pictures together; a larger home is not drawn
SEARCHED = 2_500  # entities of a home beyond which no pairs are suggested, which would take longer than it is worth
SUGGESTED = 20
LEAST_SCORE = 0.5
CHARTED = METRICS[:4]


def page_of(result: TrainingResult, homes: Sequence[Home], summary: TrainingSummary, audited: Sequence[str]) -> bytes:
    """The page of a training; ``homes`` are its homes, or ``largest_homes`` of them."""
    sections = [split_section(result.split), _training(result), *_scores(result.metrics)]
    sections.append(_homes(result.model, homes, summary.audit["homes"]))
    return run_page(summary, "Synergies: which entity acts when another one triggers", audited, sections)


def _training(result: TrainingResult) -> Section:
    loss = [(epoch.number, epoch.loss) for epoch in result.history]
    validation = [(epoch.number, epoch.score) for epoch in result.history]
    chosen = (result.best_epoch, f"saved: epoch {result.best_epoch}")
    noise = validation_noise(result)
    charts = [
        curve_chart("Training loss", [Curve("loss", loss)], ("epoch", "loss"), chosen=chosen, least=0.5, whole=True)
    ]
    lead = "Epoch 0 is the features alone, before the network has learnt anything."
    if noise is None:
        lead += " Nothing is held out for validation, so the last epoch is saved."
    else:
        charts.append(
            curve_chart(
                "Validation score, (MRR + hard AUC) / 2",
                [Curve("validation", validation)],
                ("epoch", "score"),
                least=0.1,
                band=noise,
                chosen=chosen,
                whole=True,
                note=f"Of {many(result.validation_pairs, 'pair')}. Differences within the band are no differences.",
            )
        )
    return Section("Loss and validation", lead, charts=charts)


def _scores(metrics: dict[str, Any]) -> list[Section]:
    held_out = "test" in metrics
    measured = metrics["test" if held_out else "in_sample"]
    if measured is None:
        return [Section("Scores", "The test part holds no pair that can be ranked: nothing was measured.")]
    rows = {"model": measured["model"], **measured["baselines"]}
    found, over = measured["intervals"], measured["intervals_over"]
    kind = "held-out" if held_out else "in-sample (NOT held out)"
    lead = f"{many(measured['pairs'], f'{kind} pair')} in {many(measured['homes'], 'home')}, mean over homes. "
    lead += f"Whiskers: 95 % over {over}."
    if over != "homes":
        lead += " So few homes say nothing of other homes."
    charts = [
        score_chart(
            TITLES[metric],
            [
                Bar(SCORERS[name], row[metric], (found.get(name) or {}).get(metric), name == "model")
                for name, row in rows.items()
            ],
        )
        for metric in CHARTED
    ]
    numbers = [[SCORERS[name], *(number(row[metric]) for metric in METRICS)] for name, row in rows.items()]
    table = Table("Scores", ["", *(TITLES[metric] for metric in METRICS)], numbers, frozenset({0}))
    positives = (
        f"{many(measured['pairs'], 'pair')} against others of the same trigger whose action is automated elsewhere"
    )
    trust = [
        reliability_chart(
            "Can the scores be trusted?",
            measured["reliability"],
            f"Calibration error {number(measured['model']['ece'])}. A score of 0.5 should come true half the time, "
            "beside one false pair.",
        ),
        curve_chart(
            "Precision over recall",
            [Curve("this model", measured["precision_recall"])],
            ("recall: share of the pairs that is found", "precision"),
            x=(0, 1),
            y=(0, 1),
            chance=(measured["chance"], "a guess"),
            note=positives[0].upper() + positives[1:] + ".",
        ),
    ]
    return [
        Section("Scores beside baselines", lead, charts=charts, tables=[table]),
        Section("Reliability and precision", charts=trust),
    ]


def largest_homes(homes: Sequence[Home]) -> list[Home]:
    """The homes of the most pairs that fit one page."""
    ordered = sorted((-len(home.synergies), home.home_id, i, len(home.entities)) for i, home in enumerate(homes))
    found: list[Home] = []
    drawn = 0
    for _, _, i, entities in ordered:
        if len(found) < PICTURES and entities and drawn + entities <= PICTURED:
            found.append(homes[i])
            drawn += entities
    return found


def _homes(model: SynergyModel, homes: Sequence[Home], number: int) -> Section:
    pictures = [_picture(model, home) for home in largest_homes(homes)]
    left = number - len(pictures)
    lead = "What the model would suggest, over what is automated. The command home-synergy suggest writes automations."
    if left:
        lead += f" {many(left, 'home')} of {number} {'is' if left == 1 else 'are'} not drawn."
    return Section("A picture of the home" if number == 1 else "Pictures of homes", lead, homes=pictures)


def _picture(model: SynergyModel, home: Home) -> HomePicture:
    rooms = {area.area_id: area.name or area.area_id for area in home.areas}
    has_rooms = any(entity.area_id is not None for entity in home.entities)
    places = [
        Place(
            entity.entity_id,
            entity.name or entity.entity_id,
            (f"No area: {entity.domain}" if has_rooms else entity.domain)
            if entity.area_id is None
            else rooms.get(entity.area_id, entity.area_id),
        )
        for entity in home.entities
    ]
    known = [Arrow(s.trigger, s.action) for s in home.synergies] + [Arrow(t, a) for t, a in home.installed]
    not_again = {*home.installed, *home.turned_off}
    note = "" if has_rooms else "No area is known, so entities are grouped by domain."
    if home.generated:
        note += " The automated pairs were generated from rules."
    suggested: list[Arrow] = []
    if len(home.entities) <= SEARCHED:
        graph = build_graph(home)
        pairs, logits = model.scorer(model.read(graph), graph.pairs).best_pairs(SUGGESTED)
        scores = model.calibration(logits).tolist()
        suggested = [
            Arrow(graph.entity_ids[t], graph.entity_ids[a], score)
            for (t, a), score in zip(pairs.tolist(), scores, strict=True)
            if score >= LEAST_SCORE and (graph.entity_ids[t], graph.entity_ids[a]) not in not_again
        ]
    else:
        note += f" Of more than {SEARCHED:,} entities no pairs are suggested here."
    return picture_of(home.home_id, places, known, suggested, note.strip())
