"""Production's interface of the synergy model: its services import ``GNNSynergyDetector`` from here.

Production awaits most methods, and other callers use their results at once. Both work: see ``Answer``.
"""

from __future__ import annotations

import inspect
import logging
from collections import defaultdict
from collections.abc import Coroutine, Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from data_sources import (
    WHOLE,
    DataSource,
    DataSourceError,
    Entity,
    Home,
    HomeBuilder,
    KindName,
    LoadReport,
    Shard,
    Synergy,
    class_and_message,
)
from data_sources.records import R
from home_assistant.domains import READ_ONLY_DOMAINS
from training.runs.artifacts import metadata_path, publish
from training.runs.errors import ModelFileError, TrainingError
from training.runs.files import read_json
from training.runs.job import SourceChoice
from training.runs.run import Training
from training.runs.settings import read_config
from training.runs.wording import utc_now
from training.synergy.config import SynergyModelPath
from training.synergy.features import FEATURES
from training.synergy.graph import HomeGraph, build_graph
from training.synergy.job import SynergyJob
from training.synergy.model import SynergyModel
from training.synergy.scoring import HomeScorer
from training.synergy.splits import Split, split_pairs

log = logging.getLogger(__name__)

NO_MODEL = {"score": 0.5, "confidence": 0.3}
NO_DEVICE = {"score": 0.0, "confidence": 0.0}
NO_HOME = {"score": 0.5, "confidence": 0.0}
UNKNOWN_AREA = "unknown"  # what production's own graphs write for no area
CONFIDENCE = 0.5  # of a synergy that has none, as production takes it
ALL_ENTITIES = 10_000  # the Data API's largest limit
REASONS = 3
SMALLEST_SHOWN = 0.1  # a reason that adds less to the logit is left out

# Feature -> what it looks at. What it adds may speak for the pair or against it.
EVIDENCE_OF_FEATURE = {
    "action_domain": "how often such an entity is acted on",
    "domain_pair": "how often the two domains are joined",
    "class_pair": "how often the two device classes are joined",
    "class_domain": "what such a trigger acts on elsewhere",
    "trigger_words": "the words of the trigger's name",
    "trigger_meaning": "the meaning of the trigger's name",
    "action_words": "the words of the action's name",
    "target_words": "how often entities of the action's name are acted on",
    "overlap_of_domains": "how alike names of joined entities of these domains are",
    "starts_domain": "how often entities of the trigger's domain start anything",
    "starts_class": "how often entities of the trigger's device class start anything",
    "starts_words": "how often entities of the trigger's name start anything",
    "starts_word": "how often entities of the trigger's name start anything",
    "name_overlap": "the words that the two names share",
    "log_name_overlap": "the words that the two names share",
    "token_overlap": "the words that the two names share",
    "letter_overlap": "the spelling of the two names",
    "same_name": "whether both have one name",
    "meaning": "the meaning of the two names",
    "same_place": "the place that both are in",
    "other_place": "the places that the two are in",
    "same_area": "their areas",
    "same_floor": "their floors",
    "shared_labels": "the labels that both have",
    "same_platform": "their integrations",
    "same_device": "their devices",
    "same_domain": "whether both are of one domain",
    "domain_crowd": "how many entities of the action's domain there are",
    "name_crowd": "how many entities have a name like the action's",
    "name_length": "the length of the action's name",
    "name_commonness": "how common the action's name is in this home",
    "trigger_domain_crowd": "how many entities of the trigger's domain there are",
    "trigger_name_crowd": "how many entities have a name like the trigger's",
    "trigger_name_length": "the length of the trigger's name",
    "trigger_name_commonness": "how common the trigger's name is in this home",
    "trigger_can_act": "whether the trigger can act itself",
    "internal": "whether the action is hidden or a setting of its device",
    "trigger_internal": "whether the trigger is hidden or a diagnostic of its device",
    "driven": "how many triggers act on it already",
    "driven_by_domain": "how many triggers of this domain act on it already",
    "driven_by_namesakes": "the names of the triggers that act on it already",
    "driven_by_lookalikes": "the names of the triggers that act on it already",
    "like_driven_name": "the names of what the trigger acts on already",
    "like_driven_domain": "the domains of what the trigger acts on already",
    "driven_together": "what triggers like this one act on",
    "reverse_known": "whether the action is the trigger of the other",
    "drives": "whether the action is a trigger itself",
    "home_action_domain": "how often this home acts on such an entity",
    "home_domain_pair": "how often this home joins the two domains",
    "home_class_pair": "how often this home joins the two device classes where names are so alike",
    "trigger_drives": "how much the trigger acts on already",
    "trigger_driven": "how many triggers act on the trigger",
    "home_starts_domain": "how often entities of the trigger's domain start anything in this home",
    "home_starts_class": "how often entities of the trigger's device class start anything in this home",
    "home_acts_class": "how often this home acts on entities of this device class",
    "like_trigger": "how like a known trigger it is called",
    "like_action": "how like a known action it is called",
    "repeats_known": "known pairs that this one repeats with other words",
    "of_sibling_trigger": "what its siblings act on already",
    "of_sibling_action": "the siblings of the action that the trigger acts on already",
}


class _AwaitableResult(Coroutine[Any, Any, Any]):
    """A result that is there and may also be awaited, as the coroutine that production expects."""

    _awaited: Any = None  # what awaiting gives
    _pending: Coroutine[Any, Any, Any] | None = None  # what has to be awaited first
    _steps: Generator[Any, Any, Any] | None = None

    def __await__(self) -> Generator[Any, Any, Any]:
        if self._pending is not None:
            pending, self._pending = self._pending, None
            self._take((yield from pending.__await__()))
        return self._awaited

    def _take(self, value: Any) -> None:
        self._awaited = value

    def send(self, value: Any) -> Any:
        """One step, as of any coroutine."""
        self._steps = self._steps or self.__await__()
        return self._steps.send(value)

    def throw(self, *error: Any) -> Any:
        """An exception at the present step, as of any coroutine."""
        self._steps = self._steps or self.__await__()
        return self._steps.throw(*error)

    def close(self) -> None:
        """Leave what is pending."""
        if self._pending is not None:
            self._pending.close()


class Answer(dict[str, Any], _AwaitableResult):
    """A dict that may be awaited: ``detector.learn_from_data(...)["status"]`` and ``(await ...)["status"]``.

    Where data has to be fetched first, with production's asynchronous clients, it is empty until it is awaited.
    """

    @classmethod
    def of(cls, content: Mapping[str, Any]) -> Answer:
        """An answer that is there."""
        answer = cls(content)
        answer._awaited = dict(content)
        return answer

    @classmethod
    def after(cls, pending: Coroutine[Any, Any, dict[str, Any]]) -> Answer:
        """An answer that has to be awaited."""
        answer = cls()
        answer._pending = pending
        return answer

    def _take(self, value: Any) -> None:
        self.update(value)
        self._awaited = value


class Flag(int, _AwaitableResult):
    """True or false, which may be awaited."""

    @classmethod
    def of(cls, value: bool) -> Flag:
        """The flag; awaiting it gives a bool."""
        flag = cls(value)
        flag._awaited = value
        return flag

    def __repr__(self) -> str:
        return repr(bool(self))


class GNNSynergyDetector:
    """Production's detector on ``SynergyModel``. Every method but ``initialize`` may be awaited or used at once.

    Args:
        hidden_dim: Width of the network that ``learn_from_data`` trains.
        num_layers: Its message-passing layers.
        use_gat: Accepted and not used, as in production.
        learning_rate: Learning rate of AdamW.
        batch_size: Homes in an optimizer step.
        epochs: Passes over the data at most.
        early_stopping_patience: Epochs without a better validation score until training stops.
        model_path: The model file; ``GNN_MODEL_PATH``, else ``models/gnn_synergy.pth``, if not given.

    Attributes:
        model: The ``SynergyModel``; None where there is none.
        metadata: The content of its ``<stem>_metadata.json``; empty where there is none.
        node_id_map: Entity id -> index of its node, in the graph that was built last.

    Raises:
        ValueError: ``hidden_dim`` or ``num_layers`` is no size of a network.
    """

    def __init__(
        self,
        hidden_dim: int = 64,
        num_layers: int = 2,
        use_gat: bool = False,
        learning_rate: float = 0.001,
        batch_size: int = 32,
        epochs: int = 30,
        early_stopping_patience: int = 5,
        model_path: str | Path | None = None,
    ) -> None:
        if hidden_dim <= 0:
            raise ValueError("hidden_dim must be positive")
        if num_layers < 1:
            raise ValueError("num_layers must be at least 1")
        self.hidden_dim, self.num_layers, self.use_gat = hidden_dim, num_layers, use_gat
        self.learning_rate, self.batch_size, self.epochs = learning_rate, batch_size, epochs
        self.early_stopping_patience = early_stopping_patience
        self.model_path = str(model_path or read_config(SynergyModelPath, {}).model_path)
        self.model: SynergyModel | None = None
        self.metadata: dict[str, Any] = {}
        self.node_id_map: dict[str, int] = {}
        self._is_initialized = False
        self._home: tuple[str, HomeScorer] | None = None  # the last one that was scored, with what it was read from

    async def initialize(self) -> None:
        """Load the model file, once. Where it is missing or broken, the detector answers without a model."""
        self._initialize()

    def _initialize(self) -> None:
        if not self._is_initialized:
            self.load_model(self.model_path)
            self._is_initialized = True

    def load_model(self, path: str | Path | None = None) -> Flag:
        """Load a model file and its metadata.

        Args:
            path: The file; ``model_path`` if not given.

        Returns:
            Whether it was loaded. Where it was not, the log says why, and the model that was there before stays.
        """
        path = Path(path or self.model_path)
        try:
            model = SynergyModel.load(path)
        except ModelFileError as error:
            log.warning("%s", error)
            return Flag.of(False)
        self.model, self.metadata, self._home = model, read_json(metadata_path(path)), None
        self.hidden_dim, self.num_layers = model.config.hidden_dim, model.config.num_layers
        self._is_initialized = True
        return Flag.of(True)

    def save_model(self, path: str | Path | None = None) -> Answer:
        """Write the model and its metadata, all or nothing; without a model, nothing is written.

        Args:
            path: The file; ``model_path`` if not given.

        Returns:
            Nothing, which may be awaited.

        Raises:
            ArtifactError: They cannot be written; what was there has not changed.
        """
        done = Answer()
        if self.model is None:
            log.warning("No model to save")
            return done
        described = {"training_date": utc_now("seconds"), **self.metadata}
        described |= {"hidden_dim": self.model.config.hidden_dim, "num_layers": self.model.config.num_layers}
        self.metadata = publish(Path(path or self.model_path), self.model.to_bytes(), described, {})
        return done

    def build_device_graph(self, entities: Iterable[Entity | Mapping[str, Any]]) -> dict[str, Any]:
        """The home as a graph of plain lists. Its number of edges grows with the entities, not with their square.

        Args:
            entities: The home's entities, as the Data API gives them. Disabled ones, and those without a usable id, are
                left out.

        Returns:
            ``nodes``: a dict of each entity (``id, label, domain, area, device_class, device_id``); the scores of
            ``predict_synergy_score`` are read off these. ``edges``: ``[i, j]`` of each entity and the first one of its
            area, and of its device. ``edge_weights``: 1.0 of each edge. ``node_features``: of each node the shares of
            its domain and its area in the orders of all (0 without an area), and 1 where it can act, else 0.
            ``node_id_map``: entity id -> index of its node.
        """
        graph = _graph_of(entities)
        self.node_id_map = graph["node_id_map"]
        return graph

    def learn_from_data(
        self,
        entities: Iterable[Entity | Mapping[str, Any]],
        known_synergies: Iterable[Any],
        db_session: Any = None,
        data_api_client: Any = None,
    ) -> Answer:
        """Train a model on one home, judge it, and publish it at ``model_path`` as ``train_gnn_synergy.py`` does.

        Training starts at once, and keeps an event loop busy until it ends, as production's does;
        ``await asyncio.to_thread(detector.learn_from_data, ...)`` leaves the loop free.

        Args:
            entities: The home's entities, as the Data API gives them.
            known_synergies: Flat rows, or rows of ``synergy_opportunities``, as dicts, as SQLAlchemy gives them or as
                objects with its columns as attributes.
            db_session: A SQLAlchemy session, asynchronous or not. Where there are no ``known_synergies`` they are read
                from it, once the answer is awaited.
            data_api_client: Where there are no ``entities``, those of its ``fetch_entities(limit=...)``, in the same
                way.

        Returns:
            ``status``: ``complete``, ``skipped`` (there are no entities or no synergies: ``reason``
            ``insufficient_data``, ``entities_count``, ``synergies_count``) or ``error`` (``reason`` is one line; the
            model that was there stays). ``nodes``, ``edges``: of the graph. ``training_pairs``, ``validation_pairs``:
            directed pairs. ``final_train_loss``, ``final_train_acc``, ``final_val_loss``, ``final_val_acc``: mean
            cross-entropy and accuracy at 0.5 on the pairs of each part and as many false ones of the same triggers;
            where no pair is held out, ``validation_pairs`` is 0 and the last two repeat the first. All are 0 where
            nothing was trained. ``epochs_trained``. ``notes``: what the data cannot show.
        """
        given, rows = list(entities or ()), list(known_synergies or ())
        if (given or data_api_client is None) and (rows or db_session is None):
            return Answer.of(self._learn(given, rows))
        return Answer.after(self._fetch_and_learn(given, rows, db_session, data_api_client))

    async def _fetch_and_learn(
        self, entities: list[Any], rows: list[Any], db_session: Any, client: Any
    ) -> dict[str, Any]:
        try:
            if not entities and client is not None:
                entities = list(await _awaited(client.fetch_entities(limit=ALL_ENTITIES)))
            if not rows and db_session is not None:
                from data_sources.sql import synergies_statement

                statement = synergies_statement(db_session.get_bind().dialect.name)
                rows = list(await _awaited(db_session.execute(statement)))
        except Exception as error:  # whatever the two clients raise
            what = f"the data cannot be fetched ({class_and_message(error)})"
            log.exception("%s", what)
            return _result("error", reason=what)
        return self._learn(entities, rows)

    def _learn(self, entities: list[Any], rows: list[Any]) -> dict[str, Any]:
        if not entities or not rows:
            counts = {"entities_count": len(entities), "synergies_count": len(rows)}
            return _result("skipped", reason="insufficient_data", **counts)
        source = _Given(entities, rows)
        given = {
            "hidden_dim": self.hidden_dim,
            "num_layers": self.num_layers,
            "learning_rate": self.learning_rate,
            "batch_size": self.batch_size,
            "epochs": self.epochs,
            "patience": self.early_stopping_patience,
            "model_path": Path(self.model_path),
            "force": True,
        }
        training = Training(SynergyJob, _Choice(opened=source), given)
        try:
            training.perform()
        except Exception as error:
            unexpected = not isinstance(error, DataSourceError | TrainingError)
            log.error("%s", training.message, exc_info=unexpected)
            return _result("error", reason=training.message)
        if not self.load_model(self.model_path) or self.model is None:
            return _result("error", reason=f"{self.model_path}: was published and cannot be loaded")
        device_graph = self.build_device_graph(entities)
        home = build_graph(next(source.read(Home)))
        split = split_pairs([home])
        return _result(
            "complete",
            nodes=len(device_graph["nodes"]),
            edges=len(device_graph["edges"]),
            **_measured(self.model, home, split),
            epochs_trained=int(training.metrics["epochs_run"]),
            notes=training.notes,
        )

    def predict_synergy_score(
        self,
        device_pair: tuple[str, str],
        graph: Mapping[str, Any] | None = None,
        entities: Iterable[Entity | Mapping[str, Any]] | None = None,
    ) -> Answer:
        """How likely one entity should act when another one triggers. The file and the home alone decide the answer.

        Args:
            device_pair: The entity ids of trigger and action.
            graph: The home, from ``build_device_graph``.
            entities: The home, where no graph is given.

        Returns:
            ``score``: from 0 to 1, that of ``SynergyModel.score`` with nothing known of the home. ``confidence``: the
            calibrated probability that the pair is a synergy, beside one false pair, which is what the score is here.
            ``explanation``: what the model looked at, in words. Without a model 0.5 with a confidence of 0.3; 0.0 where
            the home has no such enabled entity, or where both are one; without a home 0.5 with a confidence of 0.0.

        Raises:
            ValueError: ``device_pair`` is no pair.
        """
        if not isinstance(device_pair, tuple) or len(device_pair) != 2:
            raise ValueError("device_pair must be a tuple of (device1_id, device2_id)")
        self._initialize()
        named = " -> ".join(f"{device!s:.255}" for device in device_pair)
        if self.model is None:
            return Answer.of({**NO_MODEL, "explanation": f"no model is loaded, so nothing is known of {named}"})
        if graph is None and not entities:
            return Answer.of({**NO_HOME, "explanation": f"no entities are given, so nothing is known of {named}"})
        scorer = self._scorer(self.model, entities if graph is None else map(_entity_of, graph.get("nodes") or ()))
        index = {entity_id: i for i, entity_id in enumerate(scorer.home.graph.entity_ids)}
        ids = [device.strip().lower() if isinstance(device, str) else "" for device in device_pair]
        missing = [str(device) for device, entity_id in zip(device_pair, ids, strict=True) if entity_id not in index]
        if missing:
            told = ", ".join(f"{device:.255}" for device in missing)
            return Answer.of({**NO_DEVICE, "explanation": f"not among the enabled entities of this home: {told}"})
        if ids[0] == ids[1]:
            return Answer.of({**NO_DEVICE, "explanation": f"{named}: one entity, no pair"})
        pair = np.array([[index[entity_id] for entity_id in ids]], dtype=np.int64)
        score = float(self.model.calibration(scorer.logits(pair))[0])
        added = dict(zip(FEATURES, map(float, scorer.contributions(pair)[0]), strict=True))
        return Answer.of(
            {"score": score, "confidence": score, "explanation": f"{named}: {score:.2f}{_explained(added)}"}
        )

    def _scorer(self, model: SynergyModel, entities: Iterable[Any] | None) -> HomeScorer:
        """Scores pairs of a home of which nothing is known. Production scores many pairs of one home in a row."""
        given = list(entities or ())
        content = repr(given)
        if self._home is None or self._home[0] != content:
            home = build_graph(_home_of(given))
            self._home = content, model.scorer(model.read(home), home.pairs)
        return self._home[1]


class _Given(DataSource):
    """One home from memory."""

    def __init__(self, entities: list[Any], synergies: list[Any]) -> None:
        super().__init__()
        self._entities, self._synergies = entities, synergies

    def describe(self) -> dict[str, str]:
        """Whose argument the data was."""
        return {"type": "memory", "location": "learn_from_data"}

    def records(self, record: type[R]) -> Iterator[R]:
        if record is not Home:
            return
        builder = HomeBuilder(self.report)
        for number, entity in enumerate(self._entities, start=1):
            builder.add_entity(entity, f"entity {number}")
        for number, row in enumerate(self._synergies, start=1):
            _add_synergy(builder, row, f"synergy {number}")
        yield builder.build()


@dataclass(frozen=True, kw_only=True)
class _Choice(SourceChoice):
    """A source that is there."""

    opened: DataSource

    def open(
        self,
        kind: KindName,  # noqa: ARG002 - there is one
        max_samples: int | None = None,  # noqa: ARG002
        shard: Shard = WHOLE,  # noqa: ARG002
    ) -> DataSource:
        """That source."""
        return self.opened


def _add_synergy(builder: HomeBuilder, row: Any, where: str) -> None:
    if isinstance(row, Synergy):
        builder.add_row(row, where)
        return
    columns = getattr(row, "_mapping", row)  # a row of SQLAlchemy's
    read = columns.get if isinstance(columns, Mapping) else partial(_attribute, row)
    device_ids, confidence = read("device_ids"), read("confidence")
    if device_ids is None:
        builder.add_row(row, where)
        return
    if confidence is None:
        confidence = CONFIDENCE
    builder.add_opportunity(device_ids, read("opportunity_metadata"), read("synergy_type"), confidence, where)


def _attribute(row: Any, name: str) -> Any:
    return getattr(row, name, None)


def _home_of(entities: Iterable[Any]) -> Home:
    """A home of the entities that can be used; the log says how many cannot, and why the first."""
    report = LoadReport(where="entities")
    builder = HomeBuilder(report)
    for number, entity in enumerate(entities, start=1):
        builder.add_entity(entity, f"entity {number}")
    if report.reasons:
        rejected = sum(report.rejected.values())
        log.warning("Left out: %d entities that cannot be used, first %s", rejected, report.reasons[0])
    return builder.build()


def _graph_of(entities: Iterable[Any]) -> dict[str, Any]:
    home = _home_of(entities)
    index = {entity.entity_id: i for i, entity in enumerate(home.entities)}
    domains = sorted({entity.domain for entity in home.entities})
    areas = sorted({entity.area_id for entity in home.entities if entity.area_id is not None})
    edges: dict[tuple[int, int], None] = {}
    first: dict[tuple[str, str], int] = {}
    for i, entity in enumerate(home.entities):
        for kind, key in (("area", entity.area_id), ("device", entity.device_id)):
            if key is not None and (head := first.setdefault((kind, key), i)) != i:
                edges[head, i] = None
    return {
        "nodes": [
            {
                "id": entity.entity_id,
                "label": entity.name or entity.entity_id,
                "domain": entity.domain,
                "area": entity.area_id,
                "device_class": entity.device_class,
                "device_id": entity.device_id,
            }
            for entity in home.entities
        ],
        "edges": [list(edge) for edge in edges],
        "node_features": [
            [
                domains.index(entity.domain) / len(domains),
                0.0 if entity.area_id is None else (areas.index(entity.area_id) + 1) / len(areas),
                float(entity.domain not in READ_ONLY_DOMAINS),
            ]
            for entity in home.entities
        ],
        "edge_weights": [1.0] * len(edges),
        "node_id_map": index,
    }


def _entity_of(node: Any) -> Any:
    """An entity of a node of ``build_device_graph``'s, or of production's own; anything else is no entity."""
    if not isinstance(node, Mapping):
        return node
    label, area = node.get("label"), node.get("area")
    return {
        "entity_id": node.get("id"),
        "name": None if label == node.get("id") else label,
        "area_id": None if area == UNKNOWN_AREA else area,
        "device_class": node.get("device_class"),
        "device_id": node.get("device_id"),
    }


def _measured(model: SynergyModel, home: HomeGraph, split: Split) -> dict[str, Any]:
    """The pairs of each part, and the model's cross-entropy and accuracy on them and as many false pairs."""
    read, rng = model.read(home), np.random.default_rng(0)
    keys = set(home.pair_keys(home.pairs).tolist())
    found: dict[str, tuple[int, float, float]] = {}
    for part in ("train", "validation"):
        pairs = home.pairs[split.select(0, part)]
        false = []
        for trigger in pairs[:, 0].tolist():
            others = [a for a in read.candidates.tolist() if a != trigger and trigger * home.size + a not in keys]
            false += [(trigger, int(rng.choice(others)))] if others else []
        both = np.array([*map(tuple, pairs.tolist()), *false], dtype=np.int64).reshape(-1, 2)
        label = np.arange(len(both)) < len(pairs)
        if len(pairs):
            scores = model.calibration(model.scorer(read, home.pairs[split.known(0, part)]).logits(both))
            likely = np.clip(np.where(label, scores, 1 - scores), 1e-12, 1)
            found[part] = len(pairs), float(-np.log(likely).mean()), float(((scores >= 0.5) == label).mean())
    train = found["train"]
    validation = found.get("validation", (0, *train[1:]))
    return {
        "training_pairs": train[0],
        "validation_pairs": validation[0],
        "final_train_loss": train[1],
        "final_val_loss": validation[1],
        "final_train_acc": train[2],
        "final_val_acc": validation[2],
    }


def _result(status: str, **given: Any) -> dict[str, Any]:
    """An answer of ``learn_from_data``: production formats its numbers, so all of them are always there."""
    counts = dict.fromkeys(("nodes", "edges", "training_pairs", "validation_pairs"), 0)
    scores = dict.fromkeys(("final_train_loss", "final_val_loss", "final_train_acc", "final_val_acc"), 0.0)
    return {"status": status, **counts, **scores, "epochs_trained": 0, "notes": [], **given}


def _explained(added: Mapping[str, float]) -> str:
    """The strongest of what speaks for a pair, and of what speaks against it."""
    of_words: dict[str, float] = defaultdict(float)
    for name, value in added.items():
        of_words[EVIDENCE_OF_FEATURE[name]] += value
    told = ""
    for title, sign in (("for it", 1.0), ("against it", -1.0)):
        strongest = sorted(
            (-sign * value, words) for words, value in of_words.items() if sign * value >= SMALLEST_SHOWN
        )
        if strongest:
            told += f"; {title}: {', '.join(words for _, words in strongest[:REASONS])}"
    return told or "; many small signs together"


async def _awaited(value: Any) -> Any:
    return await value if inspect.isawaitable(value) else value
