"""What the newest version was trained on, so that a night on which nothing has changed trains nothing."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from retraining_manager.inputs import changed
from retraining_manager.registry import Registry
from retraining_manager.settings import RetrainingOptions
from retraining_manager.summaries import ModelSummary
from training.runs.errors import ArtifactError
from training.runs.files import read_json, to_json
from training.runs.publishing import write_atomically

log = logging.getLogger(__name__)

INPUTS_FILE = "trained.json"  # in a registry: what its newest version was trained on


def already_trained(
    registry: Registry, inputs: Mapping[str, str], options: RetrainingOptions
) -> tuple[str, str] | None:
    """The version that a training would make again, and why it is not run; None where it is."""
    before = read_json(registry.folder / INPUTS_FILE)
    version, aliases = before.get("version"), registry.aliases()
    known = before.get("inputs")
    if not isinstance(version, str) or version not in registry.versions() or not isinstance(known, dict):
        return None
    differ = changed(known, inputs)
    if differ:
        log.info("%s: %s changed since %s was trained", registry.folder.name, " and ".join(differ), version)
        return None
    is_live = version == aliases.champion
    again = before.get("refused") and before.get("judged") == _judged(registry, options, aliases.champion)
    if not is_live and (not again or options.evaluate_on is not None):
        return None
    damaged = registry.verify(version)
    if damaged:
        log.warning("%s", damaged[0])
        return None
    fate = "is live" if is_live else f"was refused ({before['refused']})"
    return version, (
        f"nothing has changed since {version} was trained, which {fate}: the same data, code, libraries, flags, "
        "environment and files; --force trains it again"
    )


def note_inputs(
    registry: Registry, inputs: Mapping[str, str], options: RetrainingOptions, summary: ModelSummary
) -> None:
    """Keep what was trained on, for the next run. Where it cannot be kept, that one trains."""
    refused = summary.message if summary.outcome == "refused" else None
    judged = _judged(registry, options, registry.aliases().champion)
    noted = {"version": summary.version, "inputs": dict(inputs), "refused": refused, "judged": judged}
    try:
        write_atomically(registry.folder / INPUTS_FILE, to_json(noted))
    except ArtifactError as error:
        summary.notes.append(f"the next run trains this again: {error}")


def _judged(registry: Registry, options: RetrainingOptions, champion: str | None) -> dict[str, Any]:
    """What a verdict on a candidate depends on beside the candidate."""
    gate = options.of(registry.folder.name).gate
    return {"champion": champion, "gate": gate.model_dump(mode="json"), "accept_weak": options.accept_weak}
