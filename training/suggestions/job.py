"""Suggest automations for the homes of a source, and print or write them."""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from data_sources import DataSource, Home
from data_sources.counting import listed, many
from data_sources.paths import is_file, is_there
from home_assistant.automation_file import UnpublishableError
from home_assistant.configuration import CONFIGURATION
from training.runs.errors import ArtifactError, TrainingError
from training.runs.files import to_json
from training.runs.job import SourceChoice
from training.runs.model_paths import model_file
from training.runs.outputs import check_output, check_paths_differ, write_output
from training.runs.process import check_address_space
from training.runs.progress import Progress, print_result
from training.runs.run import log_source
from training.suggestions.config import SuggestOptions
from training.suggestions.install import ConfigurationFolder, alone_in
from training.suggestions.memory import Memory
from training.suggestions.page import Evidence, evidence_of, page_of
from training.suggestions.ranking import HomeProposals, suggest_automations
from training.suggestions.wishes import Filters
from training.suggestions.writing import is_written_here, paths_of, published_yaml, to_dict
from training.synergy.job import SHIPPED_BASE
from training.synergy.origin import origin_of

if TYPE_CHECKING:
    from training.synergy.model import SynergyModel


log = logging.getLogger(__name__)

OF_SAMPLE = (
    "the model was trained on the shipped sample of simulated homes, not on these; `home-synergy train gnn-synergy` "
    "with your data makes your own"
)


def suggest(source: SourceChoice, options: SuggestOptions) -> None:
    """Load the model, read the homes, print or write suggestions. Raises DataSourceError or TrainingError."""
    with nullcontext() if options.install is None else alone_in(options.install):
        _suggest(source, options)


def _suggest(source: SourceChoice, options: SuggestOptions) -> None:
    path, output = model_file(Home.kind, options.model_path), options.output
    for file in (output, options.html):
        if file is not None:
            check_output(file)
    memory = Memory(options)
    configuration = ConfigurationFolder(options.install) if options.install is not None else None
    opened = source.open(Home.kind)
    kept = {"data": source.path, "model": path}
    if output is not None:
        _check_output(output, opened, kept)
    check_paths_differ(opened, kept={**kept, "output": output}, html=options.html, feedback=memory.path)
    if "model_path" not in options.model_fields_set and (why := _why_none_of_own(path, opened)):
        log.info("Model: the base model that ships with the project, for %s", why)
        path = SHIPPED_BASE
    elif not is_file(path):
        raise TrainingError(
            f"{path}: no such model file; `home-synergy train gnn-synergy` makes one, --model-path names it"
        )
    check_address_space(Home.kind)
    from training.synergy.model import SynergyModel

    model = SynergyModel.load(path)
    origin = origin_of(path, model.provenance)
    if path != SHIPPED_BASE:
        log.info("Model: %s, trained %s", path, origin)
    found, evidence = _suggest_all(model, opened, options, configuration, memory)
    if origin.stands_for_another(opened):
        log.warning("Note: %s", OF_SAMPLE)
        found = [replace(home, notes=(OF_SAMPLE, *home.notes)) for home in found]
    outputs = _outputs(output, found)
    for file in outputs:
        if file != output:  # one of several homes
            _check_output(file, opened, {**kept, "html": options.html, "feedback": memory.path})
    if options.html is not None:
        write_output(options.html, page_of(found, evidence, memory.path))
    if configuration is not None:
        installed = _install(found, configuration)
        if output is None and options.html is None:
            memory.keep(installed)
    elif output is None and options.html is None:
        print_result("---\n".join(_published(home, ascii_only=not _writes_unicode()) for home in found))
    _write(found, outputs)
    written = [*outputs, *filter(None, [options.html])]
    memory.write()
    if written:
        proposals = sum(len(home.proposals) for home in found)
        log.info("%s for %s", many(proposals, "suggestion"), many(len(found), "home"))
        log.info("Saved: %s", ", ".join(map(str, written)))
    memory.tell_how_to_answer()


def _outputs(output: Path | None, found: Sequence[HomeProposals]) -> list[Path]:
    """The file of ``--output``, or one for each home."""
    if output is None:
        return []
    return [output] if output.suffix == ".json" else paths_of(output, found)


def _write(found: Sequence[HomeProposals], outputs: Sequence[Path]) -> None:
    if [file.suffix for file in outputs] == [".json"]:
        write_output(outputs[0], to_json({home.home_id: to_dict(home) for home in found}))
        return
    texts = [_published(home) for home in found] if outputs else []  # all before the first file is replaced
    for file, text in zip(outputs, texts, strict=True):
        write_output(file, text.encode("utf-8"))


def _published(home: HomeProposals, *, ascii_only: bool = False) -> str:
    try:
        return published_yaml(home, ascii_only=ascii_only)
    except UnpublishableError as error:
        raise TrainingError(f"home {home.home_id!a:.60}: nothing was written, for {error}") from error


def _check_output(output: Path, source: DataSource, kept: Mapping[str, Path | str | None]) -> None:
    """Refuse to write over what is read or kept, or YAML of a configuration folder such as ``automations.yaml``.

    Suggestions of before are replaced wherever they lie.
    """
    if is_file(output) and is_written_here(output):
        check_paths_differ(kept=kept, output=output)
        return
    real = output.resolve()
    inside = any(is_file(folder / CONFIGURATION) for folder in real.parents)
    if is_file(real) and real.suffix.lower() in (".yaml", ".yml") and inside:
        raise ArtifactError(
            f"{output}: is a file of a Home Assistant configuration that this command did not write; give --output "
            "another name"
        )
    check_paths_differ(source, kept=kept, output=output)


def _why_none_of_own(path: Path, source: DataSource) -> str:
    """Why the model at the usual path is none of this user's own; empty where it may be."""
    if not is_there(path):
        return f"{path} is not there"
    return f"{path} was trained on the shipped sample" if origin_of(path).stands_for_another(source) else ""


def _install(found: Sequence[HomeProposals], configuration: ConfigurationFolder) -> tuple[str, ...]:
    """Install the suggestions of the one home; the ids of those that are in the configuration now."""
    if len(found) > 1:
        raise TrainingError(f"--install takes the suggestions of one home; name it: --home {found[0].home_id}")
    done = configuration.install(found[0])
    for line in done.lines():
        log.info("%s", line)
    return done.suggestions


def _suggest_all(
    model: SynergyModel,
    source: DataSource,
    options: SuggestOptions,
    configuration: ConfigurationFolder | None,
    memory: Memory,
) -> tuple[list[HomeProposals], list[Evidence]]:
    found, evidence, empty = [], [], []
    names: list[str] = []
    filters = Filters(options)
    with Progress("Suggesting", unit="home", counted=lambda: len(names)):
        for home in source.read(Home):
            names.append(home.home_id)
            if options.home not in (None, home.home_id):
                continue
            home = home if configuration is None else configuration.without_installed(home)
            if not home.entities and options.home is None:
                empty.append(home.home_id)
                continue
            memory.recognize(home)
            wishes = filters.wishes(home, memory.feedback)
            proposals = suggest_automations(
                model, home, options.top, min_score=options.min_score, diverse=options.diverse, wishes=wishes
            )
            memory.note(home, proposals)
            found.append(proposals)
            if options.html is not None:
                evidence.append(evidence_of(home, proposals))
    log_source(source)
    where = source.report.where
    if options.home is not None and options.home not in names:
        raise TrainingError(
            f"--home {options.home!a}: {where} has no such home; it has {listed([ascii(name) for name in names], 10)}"
        )
    if not found:
        raise TrainingError(
            f"{where}: no home has any entities; give them their entities (docs/reference/data-formats.md)"
        )
    filters.check()
    if empty:
        log.warning("Left out, for they have no entities: %s", listed([ascii(name) for name in empty], 10))
    return found, evidence


def _writes_unicode() -> bool:
    return (sys.stdout.encoding or "").lower().replace("-", "").startswith("utf")
