"""The synergy model as its users load it: score, explain and suggest pairs of a home."""

from __future__ import annotations

import copy
import io
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from data_sources import Entity, Home, HomeBuilder, LoadReport, Synergy
from training.judging.calibration import Calibration
from training.judging.splits import digests_of, read_digests, seen_among
from training.runs.artifacts import read_published
from training.runs.errors import ArtifactError, MixedFilesError, ModelFileError, wrap_read_errors
from training.runs.model_paths import how_to_get, model_file
from training.synergy.config import FORMAT_VERSION, SynergyConfig
from training.synergy.encoded_home import EncodedHome
from training.synergy.evaluation import HomeScore, ranking_task, score_home
from training.synergy.features import FEATURES
from training.synergy.graph import HomeGraph, Ints, build_graph
from training.synergy.name_encoders import INSTALL, SENTENCE_DIMENSIONS, SENTENCES, Encoder, encoder_of
from training.synergy.network import SynergyNetwork, network_of
from training.synergy.pair_statistics import LogOdds
from training.synergy.pretrained import PretrainedSynergy
from training.synergy.same_homes import FEW_PAIRS, MANY_PAIRS, SHARED_PAIRS
from training.synergy.scoring import HomeScorer
from training.synergy.splits import known_home_split, pair_name
from training.synergy.vocabulary import Vocabulary

log = logging.getLogger(__name__)

FORMAT = "gnn_synergy"
FIRST_PAIRS = 8  # that are looked for before all are
# Production's former detector builds a network of its own from these two keys, and only then looks for weights that are
# not here; its random network would answer. Of a text no layer can be made, and no number: that detector refuses the
# file and answers its fallback. The sizes stand in ``config``.
NO_SIZE = "in config; training.synergy reads this file"
REASONS = 5  # features that a suggestion names at most


class Suggestion(NamedTuple):
    """A pair that the home has not automated yet.

    Attributes:
        trigger: Entity id of the trigger.
        action: Entity id of the action.
        score: From 0 to 1.
        evidence: The features that speak most for the pair, strongest first: name (see ``features``), and what it adds
            to the logit above what it adds on average.
    """

    trigger: str
    action: str
    score: float
    evidence: tuple[tuple[str, float], ...] = ()


class SynergyModel:
    """Scores directed pairs (trigger, action) of any home. It needs none of the data that it was trained on.

    Args:
        config: How it was trained.
        vocabulary: The texts that it knows.
        acting_domains: Read-only domains whose entities count as able to act.
        log_odds: What the training data says of domains, classes and words.
        network: The network; it is put into evaluation mode.
        calibration: From logits to scores.
        provenance: What the model file says of where the model comes from.
        trained_on: Ids of the homes that it was trained on.
        encoder_kind: Kind of the encoder that read names in training (``name_encoders``), None where none did. Files
            call it ``names``.
        encoder: That encoder; None where names are not read here. Then the features that names give are 0.
    """

    def __init__(
        self,
        config: SynergyConfig,
        vocabulary: Vocabulary,
        acting_domains: Sequence[str],
        log_odds: LogOdds,
        network: SynergyNetwork,
        calibration: Calibration,
        provenance: Mapping[str, Any] | None = None,
        trained_on: Iterable[str] = (),
        encoder_kind: str | None = None,
        encoder: Encoder | None = None,
    ) -> None:
        self.config = config
        self.vocabulary = vocabulary
        self.acting_domains = tuple(acting_domains)
        self.log_odds = log_odds
        self.network = network.eval()
        self.calibration = calibration
        self.provenance = dict(provenance or {})
        self.trained_on = frozenset(trained_on)
        self.encoder_kind = encoder_kind
        self.encoder = encoder

    def score(
        self,
        entities: Iterable[Entity | Mapping[str, Any]],
        known_synergies: Iterable[Synergy | Mapping[str, Any]],
        pairs: Iterable[tuple[str, str]],
    ) -> npt.NDArray[np.float64]:
        """Score pairs of one home.

        Args:
            entities: The home's entities: records, or dicts in the homes format.
            known_synergies: What the home is known to do: records, or dicts in the homes format. A known pair that is
                scored does not tell its own answer: it is scored as if it were not known.
            pairs: (trigger entity id, action entity id).

        Returns:
            ``[len(pairs)]`` from 0 to 1. 0.5 means: as likely true as not, beside one false pair.

        Raises:
            ValueError: An entity or synergy cannot be used, or a pair names an entity that the home does not have.
        """
        logits = self._without_own_answer(entities, known_synergies, pairs, HomeScorer.logits)
        return self.calibration(logits.astype(np.float64))

    def explain(
        self,
        entities: Iterable[Entity | Mapping[str, Any]],
        known_synergies: Iterable[Synergy | Mapping[str, Any]],
        pairs: Iterable[tuple[str, str]],
    ) -> list[dict[str, float]]:
        """What each feature adds to the logit of each pair, above what it adds on average.

        Arguments and errors are those of ``score``.

        Returns:
            For each pair: feature (see ``features``) -> what it adds.
        """
        added = self._without_own_answer(entities, known_synergies, pairs, HomeScorer.contributions)
        return [dict(zip(FEATURES, map(float, values), strict=True)) for values in added]

    def _without_own_answer(
        self,
        entities: Iterable[Entity | Mapping[str, Any]],
        known_synergies: Iterable[Synergy | Mapping[str, Any]],
        pairs: Iterable[tuple[str, str]],
        read: Callable[[HomeScorer, Ints], npt.NDArray[Any]],
    ) -> npt.NDArray[Any]:
        """What ``read`` says of each pair; a known pair is read as if none of the pairs that are read were known."""
        home, graph = self.encode(entities, known_synergies)
        rows = _rows(graph, pairs)
        known_keys, keys = graph.pair_keys(graph.pairs), graph.pair_keys(rows)
        is_known = np.isin(keys, known_keys)
        found: npt.NDArray[Any] | None = None
        for mask, known in ((~is_known, graph.pairs), (is_known, graph.pairs[~np.isin(known_keys, keys)])):
            if mask.any() or found is None:
                values = read(self.scorer(home, known), rows[mask])
                found = np.empty((len(rows), *values.shape[1:]), dtype=values.dtype) if found is None else found
                found[mask] = values
        assert found is not None
        return found

    def suggest(
        self,
        entities: Iterable[Entity | Mapping[str, Any]],
        known_synergies: Iterable[Synergy | Mapping[str, Any]],
        k: int,
    ) -> list[Suggestion]:
        """The best pairs of one home that are not known.

        Other arguments and errors are those of ``score``.

        Args:
            entities: The home's entities.
            known_synergies: What the home is known to do.
            k: How many pairs.

        Returns:
            The pairs, best first; fewer where the home has fewer.
        """
        home, graph = self.encode(entities, known_synergies)
        scorer = self.scorer(home, graph.pairs)
        pairs, logits = scorer.best_pairs(k)
        return [
            Suggestion(graph.entity_ids[t], graph.entity_ids[a], float(score), _strongest(added))
            for (t, a), score, added in zip(pairs, self.calibration(logits), scorer.contributions(pairs), strict=True)
        ]

    def evaluate(self, homes: Iterable[Home], known_share: float | None = None, seed: int = 0) -> list[HomeScore]:
        """Rank the pairs of homes, one home at a time, beside the baselines.

        Args:
            homes: The homes.
            known_share: Share of each home's automations that are known (``splits.known_home_split``); the pairs of the
                others are ranked. None: nothing is known, and all pairs are ranked.
            seed: Draws the known automations.

        Returns:
            The scores of all homes with a pair that can be ranked.
        """
        scored = []
        for index, source in enumerate(homes):
            graph = build_graph(source)
            ranked, known = np.ones(len(graph.pairs), dtype=bool), np.zeros(len(graph.pairs), dtype=bool)
            if known_share is not None:
                split = known_home_split([graph], known_share, seed)
                ranked, known = split.select(0, "test"), split.select(0, "train")
            home = self.read(graph)
            task = ranking_task(home, graph, index, ranked, known)
            if task is not None:
                scored.append(score_home(task, self.scorer(home, task.known), self.calibration))
        return scored

    def trained_as(self, home: Home, least_pairs: int = FEW_PAIRS) -> str | None:
        """Another id under which the model was trained on a home; None where there is none.

        Args:
            home: The home.
            least_pairs: Of fewer shared pairs, or fewer than half of the home's own, two homes may have the same by
                chance.
        """
        if home.home_id in self.trained_on:
            return None
        pairs = sorted({(min(s.trigger, s.action), max(s.trigger, s.action)) for s in home.synergies})
        seen = self._trained_units
        for home_id in sorted(self.trained_on) if pairs and seen else ():
            names = [pair_name(home_id, *pair) for pair in pairs]
            # Most homes share no pair: a few tell.
            if not seen_among(names[:FIRST_PAIRS], seen):
                continue
            if seen_among(names, seen) >= max(least_pairs, SHARED_PAIRS * len(names)):
                return home_id
        return None

    def has_seen(self, home: Home) -> bool:
        """Whether its training, or its base's, held this home though its pairs are not listed under the home's id.

        Either the file names the home and none of its pairs, as earlier files do with the homes of their base, or it
        lists the pairs under another id: the home was exported again.
        """
        if home.home_id in self.trained_on:
            pairs = (pair_name(home.home_id, s.trigger, s.action) for s in home.synergies)
            return not seen_among(pairs, self._trained_units)
        return self.trained_as(home, MANY_PAIRS) is not None

    @cached_property
    def _trained_units(self) -> frozenset[str]:
        return digests_of(read_digests(self.provenance.get("trained_on")))

    def encode(self, entities: Iterable[Any], known: Iterable[Any]) -> tuple[EncodedHome, HomeGraph]:
        """A home as the model reads it, and its graph with the known pairs; arguments and errors as for ``score``."""
        report = LoadReport(where="home")
        builder = HomeBuilder(report)
        for number, entity in enumerate(entities, start=1):
            builder.add_entity(entity, f"entity {number}")
        for number, synergy in enumerate(known, start=1):
            builder.add_row(synergy, f"synergy {number}")
        if report.reasons:
            raise ValueError(report.reasons[0])
        graph = build_graph(builder.build())
        return self.read(graph), graph

    def read(self, graph: HomeGraph, acting_domains: Sequence[str] | None = None) -> EncodedHome:
        """A home as the model reads it, without its pairs; ``acting_domains`` replace the model's own if given."""
        acting = self.acting_domains if acting_domains is None else acting_domains
        return EncodedHome(graph, self.vocabulary, acting, self.encoder)

    def scorer(self, home: EncodedHome, known: Ints) -> HomeScorer:
        """What scores the pairs of one home, of which the ``[e, 2]`` pairs ``known`` are known."""
        return HomeScorer(self.network, self.log_odds, home, known)

    def to_bytes(self) -> bytes:
        """The model file. Equal models give equal bytes, whatever the time and the path."""
        content = {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "hidden_dim": NO_SIZE,
            "num_layers": NO_SIZE,
            "config": self.config.model_dump(),
            "vocabulary": {key: list(value) for key, value in asdict(self.vocabulary).items()},
            "acting_domains": list(self.acting_domains),
            "log_odds": dict(vars(self.log_odds)),
            "state_dict": dict(self.network.state_dict()),
            "calibration": asdict(self.calibration),
            "provenance": self.provenance,
            "trained_on": sorted(self.trained_on),
            "names": self.encoder_kind,
        }
        buffer = io.BytesIO()
        torch.save(content, buffer)
        return buffer.getvalue()

    @classmethod
    def load(cls, path: str | Path, sentences: bool = True) -> SynergyModel:
        """Load a model file, or the ``.safetensors`` file of a pretrained model.

        Args:
            path: The file, or the folder of a version, which holds one.
            sentences: Whether a model that was trained with the encoder of sentences may use it. Where it may, but the
                extra is not installed, the model works without it and says so once.

        Raises:
            ModelFileError: The file is missing or broken, of another kind or of a format that is not read here, or of
                another training than the metadata beside it.
        """
        path = model_file(Home.kind, Path(path))
        if path.suffix == ".safetensors":
            return _from_pretrained(PretrainedSynergy.load(Path(path)))
        again = "train it again with `home-synergy train gnn-synergy --force`"
        mixed: MixedFilesError | None = None
        with wrap_read_errors(path, "is not a model file that can be loaded", again):
            try:
                written, _ = read_published(path)
            except MixedFilesError as error:  # which a broken file is too, and says more of
                mixed, written = error, error.content
            except FileNotFoundError:
                raise ModelFileError(f"{path}: no such model file; {how_to_get(Home.kind)}") from None
            except ArtifactError as error:
                raise ModelFileError(str(error)) from error
            content = torch.load(io.BytesIO(written), map_location="cpu", weights_only=True)
        if mixed is not None:
            raise ModelFileError(str(mixed)) from mixed
        if not isinstance(content, dict) or content.get("format") != FORMAT:
            raise ModelFileError(f"{path}: is not a {FORMAT} model of this format (an older or another one); {again}")
        if content.get("format_version") != FORMAT_VERSION:
            raise ModelFileError(
                f"{path}: has format version {content.get('format_version')!a}, this program reads {FORMAT_VERSION}; "
                f"{again}"
            )
        with wrap_read_errors(path, f"is a {FORMAT} model with parts missing or changed", again):
            config = SynergyConfig(**content["config"])
            vocabulary = Vocabulary.read(content["vocabulary"])
            kind = content["names"]
            encoder = encoder_of(kind) if kind and (sentences or kind != SENTENCES) else None
            if kind and sentences and encoder is None:
                log.warning("Note: %s was trained with what names mean and scores without it here: %s", path, INSTALL)
            log_odds = LogOdds(**content["log_odds"])
            log_odds.check(vocabulary)
            model = cls(
                config=config,
                vocabulary=vocabulary,
                acting_domains=content["acting_domains"],
                log_odds=log_odds,
                network=network_of(vocabulary, config.hidden_dim, config.num_layers, content["state_dict"]),
                calibration=Calibration.read(content["calibration"]),
                provenance=content["provenance"],
                trained_on=content["trained_on"],
                encoder_kind=kind,
                encoder=encoder,
            )
            model._try()
            return model

    def _try(self) -> None:
        """Score a pair, so that a part that does not fit the others shows at once. Raises what comes of it."""
        read_digests(self.provenance.get("trained_on"))
        texts = [*self.acting_domains, *self.trained_on]
        if not all(isinstance(text, str) for text in texts):
            raise TypeError("a domain or a home's id is no text")
        if self.encoder_kind == SENTENCES and len(self.log_odds.meaning) != SENTENCE_DIMENSIONS:
            raise ValueError(f"log_odds: meaning has {len(self.log_odds.meaning)} dimensions")
        tried = copy.copy(self)
        tried.encoder = None if self.encoder_kind == SENTENCES else self.encoder  # that of sentences takes seconds
        trigger, action = "binary_sensor.hall_motion", "light.hall"
        if not np.isfinite(tried.score([{"entity_id": trigger}, {"entity_id": action}], [], [(trigger, action)])).all():
            raise ValueError("its scores are no numbers")


def _from_pretrained(pretrained: PretrainedSynergy) -> SynergyModel:
    """The pretrained model as it is, for homes that have nothing to train on."""
    vocabulary, hidden_dim, num_layers = pretrained.vocabulary, pretrained.hidden_dim, pretrained.num_layers
    return SynergyModel(
        config=SynergyConfig(hidden_dim=hidden_dim, num_layers=num_layers),
        vocabulary=vocabulary,
        acting_domains=pretrained.acting_domains,
        log_odds=replace(pretrained.statistics.log_odds(), meaning=pretrained.meaning),
        network=network_of(vocabulary, hidden_dim, num_layers, pretrained.network),
        calibration=pretrained.calibration,
        provenance={"trained_on": pretrained.trained_on},
        trained_on=pretrained.home_ids,
        encoder_kind=pretrained.encoder_kind,
        encoder=encoder_of(pretrained.encoder_kind),
    )


def _rows(graph: HomeGraph, pairs: Iterable[tuple[str, str]]) -> Ints:
    """``[k, 2]`` entity indexes of pairs of entity ids."""
    index = {entity_id: i for i, entity_id in enumerate(graph.entity_ids)}
    try:
        return np.array([(index[t], index[a]) for t, a in pairs], dtype=np.int64).reshape(-1, 2)
    except KeyError as error:
        raise ValueError(f"{error.args[0]!a}: no enabled entity of this home has this id") from None


def _strongest(added: npt.NDArray[np.float64]) -> tuple[tuple[str, float], ...]:
    strongest = np.argsort(-added, kind="stable")[:REASONS]
    return tuple((FEATURES[i], round(float(added[i]), 4)) for i in strongest if added[i] > 0)
