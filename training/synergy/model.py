"""The synergy model as its users load it: score, explain, suggest."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from data_sources import Entity, Home, HomeBuilder, LoadReport, Synergy
from training.judging.calibration import Calibration
from training.runs.errors import ModelFileError
from training.synergy.config import SynergyConfig
from training.synergy.encoded_home import EncodedHome, Vocabulary
from training.synergy.evaluation import HomeScore, ranking_task, score_home
from training.synergy.features import FEATURES
from training.synergy.graph import HomeGraph, Ints, build_graph
from training.synergy.name_encoders import INSTALL, SENTENCES, Encoder
from training.synergy.name_encoders import encoder as names_encoder
from training.synergy.network import SynergyNetwork
from training.synergy.pair_statistics import LogOdds
from training.synergy.pretrained import SynergyBase
from training.synergy.scoring import HomeScorer
from training.synergy.splits import keep_known

log = logging.getLogger(__name__)

FORMAT = "gnn_synergy"
FORMAT_VERSION = 5
REASONS = 5  # strongest features that a suggestion carries


class Suggestion(NamedTuple):
    """A pair that the home has not automated yet; ``score`` is 0 to 1.

    ``evidence`` are the features that speak for it, strongest first: name (see ``features``) and share of the logit
    above what the feature adds on average.
    """

    trigger: str
    action: str
    score: float
    evidence: tuple[tuple[str, float], ...] = ()


class SynergyModel:
    """Scores directed (trigger, action) pairs of any home. Needs none of the data it was trained on.

    ``names`` is the kind of encoder that read names in training (``name_encoders``), None where none did. Such a
    model reads them with ``encoder``; without one it does without.
    """

    def __init__(
        self,
        config: SynergyConfig,
        vocabulary: Vocabulary,
        acting: Sequence[str],
        log_odds: LogOdds,
        network: SynergyNetwork,
        calibration: Calibration,
        provenance: Mapping[str, Any] | None = None,
        trained_on: Iterable[str] = (),
        names: str | None = None,
        encoder: Encoder | None = None,
    ) -> None:
        self.config = config
        self.vocabulary = vocabulary
        self.acting = tuple(acting)
        self.log_odds = log_odds
        self.network = network.eval()
        self.calibration = calibration
        self.provenance = dict(provenance or {})
        self.trained_on = frozenset(trained_on)
        self.names = names
        self.encoder = encoder

    def score(
        self,
        entities: Iterable[Entity | Mapping[str, Any]],
        known_synergies: Iterable[Synergy | Mapping[str, Any]],
        pairs: Iterable[tuple[str, str]],
    ) -> npt.NDArray[np.float64]:
        """Score pairs of one home.

        Args:
            entities: Records or plain dicts in the homes format.
            known_synergies: Records or plain dicts; what the home is known to do. A known pair that is to be scored
                does not tell its own answer: it is scored as if it were not known.
            pairs: (trigger entity id, action entity id).

        Returns:
            ``[len(pairs)]`` from 0 to 1, 0.5 meaning as likely true as not beside one false pair.

        Raises:
            ValueError: An entity or synergy cannot be used, or a pair names an entity the home does not have.
        """
        home, graph = self.encode(entities, known_synergies)
        rows = _rows(graph, pairs)
        known, queried = graph.pair_keys(graph.pairs), graph.pair_keys(rows)
        is_known = np.isin(queried, known)
        logits = np.empty(len(rows))
        for mask, edges in (
            (~is_known, graph.pairs),
            (is_known, graph.pairs[~np.isin(known, queried)]),
        ):
            if mask.any():
                logits[mask] = self.scorer(home, edges).logits(rows[mask])
        return self.calibration(logits)

    def explain(
        self,
        entities: Iterable[Entity | Mapping[str, Any]],
        known_synergies: Iterable[Synergy | Mapping[str, Any]],
        pairs: Iterable[tuple[str, str]],
    ) -> list[dict[str, float]]:
        """What each feature adds to the logit of each pair, above its average; arguments and errors as ``score``."""
        home, graph = self.encode(entities, known_synergies)
        added = self.scorer(home, graph.pairs).contributions(_rows(graph, pairs))
        return [dict(zip(FEATURES, map(float, values), strict=True)) for values in added]

    def suggest(
        self,
        entities: Iterable[Entity | Mapping[str, Any]],
        known_synergies: Iterable[Synergy | Mapping[str, Any]],
        k: int,
    ) -> list[Suggestion]:
        """The ``k`` best pairs of one home that are not among the known ones, best first. Raises as ``score``.

        The order is that of ``HomeScorer.best_pairs``.
        """
        home, graph = self.encode(entities, known_synergies)
        scorer = self.scorer(home, graph.pairs)
        pairs, logits = scorer.best_pairs(k)
        return [
            Suggestion(graph.entity_ids[t], graph.entity_ids[a], float(score), _strongest(added))
            for (t, a), score, added in zip(pairs, self.calibration(logits), scorer.contributions(pairs), strict=True)
        ]

    def judge(self, homes: Iterable[Home], known_share: float | None = None, seed: int = 0) -> list[HomeScore]:
        """Rank the pairs of homes beside the baselines, a home at a time; homes without a pair to rank are left out.

        Nothing is known of a home, or ``known_share`` of its automations are, and the pairs of the others are ranked
        (``training.synergy.graph.keep_known``). The model is given the entities and the known pairs, and nothing else.
        """
        scored = []
        for index, source in enumerate(homes):
            graph = build_graph(source)
            asked, known = np.ones(len(graph.pairs), dtype=bool), np.zeros(len(graph.pairs), dtype=bool)
            if known_share is not None:
                split = keep_known([graph], known_share, seed)
                asked, known = split.select(0, "test"), split.select(0, "train")
            home = self.read(graph)
            task = ranking_task(home, graph, index, asked, known)
            if task is not None:
                scored.append(score_home(task, self.scorer(home, task.known), self.calibration))
        return scored

    def scorer(self, home: EncodedHome, known: Ints) -> HomeScorer:
        """What scores the pairs of one home, of which the ``[e, 2]`` pairs ``known`` are known."""
        return HomeScorer(self.network, self.log_odds, home, known)

    def encode(self, entities: Iterable[Any], known: Iterable[Any]) -> tuple[EncodedHome, HomeGraph]:
        """A home as the model reads it, and its graph with the known pairs. Raises ValueError as ``score``."""
        report = LoadReport(where="home")
        builder = HomeBuilder(report)
        for i, entity in enumerate(entities):
            builder.add_entity(entity, f"entities[{i}]")
        for i, synergy in enumerate(known):
            builder.add_row(synergy, f"known_synergies[{i}]")
        if report.reasons:
            raise ValueError(report.reasons[0])
        graph = build_graph(builder.build())
        return self.read(graph), graph

    def read(self, graph: HomeGraph, acting: Sequence[str] | None = None) -> EncodedHome:
        """A graph as the model reads it, without its pairs; ``acting`` stands in for the model's own."""
        return EncodedHome(graph, self.vocabulary, self.acting if acting is None else acting, self.encoder)

    def to_bytes(self) -> bytes:
        """The model file: equal models give equal bytes, whatever the time and the path."""
        content = {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "hidden_dim": self.config.hidden_dim,
            "num_layers": self.config.num_layers,
            "config": self.config.model_dump(),
            "vocabulary": {key: list(value) for key, value in asdict(self.vocabulary).items()},
            "acting_domains": list(self.acting),
            "log_odds": dict(vars(self.log_odds)),
            "state_dict": dict(self.network.state_dict()),
            "calibration": asdict(self.calibration),
            "provenance": self.provenance,
            "trained_on": sorted(self.trained_on),
            "names": self.names,
        }
        buffer = io.BytesIO()
        torch.save(content, buffer)
        return buffer.getvalue()

    @classmethod
    def load(cls, path: str | Path, sentences: bool = True) -> SynergyModel:
        """Read a model file, or a base model's ``.safetensors``.

        A model that was trained with the sentence encoder does without where ``sentences`` is false, or, saying so,
        where the extra is not installed. Raises ModelFileError where it is missing, broken, of another kind or too new.
        """
        if Path(path).suffix == ".safetensors":
            return _as_it_is(SynergyBase.load(Path(path)))
        try:
            content = torch.load(path, map_location="cpu", weights_only=True)
        except FileNotFoundError as error:
            raise ModelFileError(f"{path}: no such model file") from error
        except Exception as error:  # torch raises a dozen kinds on a file that is none of its own
            what = str(error).strip().splitlines()[0][:120] if str(error).strip() else type(error).__name__
            raise ModelFileError(f"{path}: is not a model file that can be loaded ({what})") from error
        if not isinstance(content, dict) or content.get("format") != FORMAT:
            raise ModelFileError(f"{path}: is not a {FORMAT} model of this format (an older or another one)")
        if content.get("format_version") != FORMAT_VERSION:
            raise ModelFileError(
                f"{path}: has format version {content.get('format_version')!a}, this program reads {FORMAT_VERSION}"
            )
        try:
            config = SynergyConfig(**content["config"])
            vocabulary = Vocabulary(**{key: tuple(value) for key, value in content["vocabulary"].items()})
            network = SynergyNetwork(
                len(vocabulary.domains) + 1, len(vocabulary.classes) + 1, config.hidden_dim, config.num_layers
            )
            network.load_state_dict(content["state_dict"])
            names = content["names"]
            encoder = names_encoder(names) if names and (sentences or names != SENTENCES) else None
            if names and sentences and encoder is None:
                log.warning("Note: %s was trained with what names mean and scores without it here: %s", path, INSTALL)
            return cls(
                config=config,
                vocabulary=vocabulary,
                acting=content["acting_domains"],
                log_odds=LogOdds(**content["log_odds"]),
                network=network,
                calibration=Calibration(**content["calibration"]),
                provenance=content["provenance"],
                trained_on=content["trained_on"],
                names=names,
                encoder=encoder,
            )
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            what = " ".join(str(error).split())[:160]
            raise ModelFileError(f"{path}: is a {FORMAT} model with parts missing or changed ({what})") from error


def _as_it_is(base: SynergyBase) -> SynergyModel:
    """The base as a model of its own, for homes that have nothing to train on."""
    network = SynergyNetwork(
        len(base.vocabulary.domains) + 1, len(base.vocabulary.classes) + 1, base.hidden_dim, base.num_layers
    )
    network.load_state_dict(base.network)
    return SynergyModel(
        config=SynergyConfig(hidden_dim=base.hidden_dim, num_layers=base.num_layers),
        vocabulary=base.vocabulary,
        acting=base.acting,
        log_odds=replace(base.statistics.log_odds(), meaning=base.meaning),
        network=network,
        calibration=base.calibration,
        trained_on=base.home_ids,
        names=base.names,
        encoder=names_encoder(base.names),
    )


def _rows(graph: HomeGraph, pairs: Iterable[tuple[str, str]]) -> Ints:
    index = {entity_id: i for i, entity_id in enumerate(graph.entity_ids)}
    try:
        return np.array([(index[t], index[a]) for t, a in pairs], dtype=np.int64).reshape(-1, 2)
    except KeyError as error:
        raise ValueError(f"{error.args[0]!a}: no enabled entity of this home has this id") from None


def _strongest(added: npt.NDArray[np.float64]) -> tuple[tuple[str, float], ...]:
    strongest = np.argsort(-added, kind="stable")[:REASONS]
    return tuple((FEATURES[i], round(float(added[i]), 4)) for i in strongest if added[i] > 0)
