"""``home-synergy retrain``. Importing this imports click alone, so ``--help`` is instant."""

from __future__ import annotations

import json
import logging
import math
import signal
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from training.runs.models import MODELS
from training.runs.options import Number, WholeNumber, model_name, source_options, verbose_option
from training.runs.streams import ProgramGroup, is_lost, result_is_kept

if TYPE_CHECKING:
    from retraining_manager.manager import RetrainingManager
    from retraining_manager.registry import Aliases
    from retraining_manager.settings import RetrainingOptions

F = TypeVar("F", bound=Callable[..., Any])
FAILED = 1


def _common(command: F) -> F:
    @click.option(
        "--model-directory",
        type=click.Path(file_okay=True, path_type=Path),
        default=Path("models"),
        show_default=True,
        help="Folder of the versions; production's paths are inside it or beside it.",
    )
    @click.option("--json", "as_json", is_flag=True, help="Print JSON to standard output and log to standard error.")
    @verbose_option
    @wraps(command)
    def explained(*args: Any, as_json: bool, verbose: bool, **options: Any) -> Any:
        from training.runs.process import configure_logging
        from training.runs.progress import Progress

        configure_logging(sys.stderr if as_json else sys.stdout, verbose=verbose, timestamps=True)
        with _one_line(verbose), Progress("Working"):
            return command(*args, as_json=as_json, **options)

    return explained  # type: ignore[return-value]


@click.group(cls=ProgramGroup, context_settings={"max_content_width": 120})
def main() -> None:
    """Retrain models: check data, train, compare, publish, roll back.

    Exit codes: 0 success, also if a model was skipped or not published; 1 the command or a required model failed; 2
    wrong usage.
    """


@main.command()
@click.argument("models", nargs=-1, type=model_name, metavar="[MODEL ...]")
@click.option("--require-distinct", is_flag=True, help="Too few distinct pairs, queries, ... are not enough data.")
@source_options
@_common
def check(models: tuple[str, ...], require_distinct: bool, **options: Any) -> None:
    """Check which models have enough data to train.

    Without MODEL, all models are checked, and a source need not have data for each of them.

    Exits with 1 if the data of a model cannot be read, or a MODEL has none.
    """
    from retraining_manager.settings import RetrainingOptions

    as_json = options.pop("as_json")
    manager = _manager(options, RetrainingOptions(require_distinct=require_distinct))
    found = manager.check(_chosen(models))
    unread = {model for model, state in found.items() if state["error"] and not (state["absent"] and not models)}
    if as_json:
        _print_json(found)
        sys.exit(FAILED if unread else 0)
    rows = []
    for model, state in found.items():
        worth = ", ".join(state["worth"])
        shown = "-" if state["error"] and not state["absent"] else str(state["rows"])
        rows.append((model, "yes" if state["enough"] else "no", shown, worth if shown != "-" else ""))
    _print_table(("model", "enough", "rows", "distinct"), rows)
    said: dict[tuple[bool, str], list[str]] = {}  # what is said of several models is said once
    for model, state in found.items():
        for line in (state["why"], *state["warnings"]):
            said.setdefault((model in unread, line), []).append(model)
    for (failed, line), about in said.items():
        _say(f"{'Error: ' if failed else ''}{', '.join(about)}: {line}", err=failed)
    sys.exit(FAILED if unread else 0)


@main.command()
@click.argument("models", nargs=-1, type=model_name, metavar="[MODEL ...]")
@click.option("--all", "all_models", is_flag=True, help="Train all models; skip one if the source has no data for it.")
@click.option(
    "--force",
    is_flag=True,
    help="Train even on too few rows or unchanged data, and pass --force to training commands that have it.",
)
@click.option(
    "--optional",
    multiple=True,
    type=model_name,
    metavar="MODEL",
    help="A failure of this model does not fail the run. Repeatable.",
)
@click.option("--require-distinct", is_flag=True, help="Do not train on too few distinct pairs, queries, ...")
@click.option(
    "--accept-weak", is_flag=True, help="Publish a model even if it does not beat the baselines; the verdict says so."
)
@click.option(
    "--evaluate-on",
    "--judge-on",
    "evaluate_on",
    metavar="SPEC",
    help="Compare models on this source (as --data-source) instead of the training data.",
)
@click.option("--timeout", type=Number(min=0, min_open=True), help="Seconds that a command may run.  [default: none]")
@click.option(
    "--base-model",
    metavar="NAME",
    help="The base model of the text models: a folder, a name on the Hugging Face hub, or scratch, which needs no "
    "network. `flags` of a single model in --config win.  [default: $SOFT_PROMPT_BASE_MODEL, else their own]",
)
@click.option(
    "--config",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="YAML file with the settings of each model.",
)
@source_options
@_common
def run(
    models: tuple[str, ...],
    all_models: bool,
    force: bool,
    optional: tuple[str, ...],
    require_distinct: bool,
    accept_weak: bool,
    evaluate_on: str | None,
    timeout: float | None,
    base_model: str | None,
    config: Path | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Train models and publish the better ones.

    A new version is compared with the live one on the same rows, and is published if it passes.
    """
    from retraining_manager.errors import ManagerError
    from retraining_manager.pipeline import PAGE, Interrupted, run_pipeline
    from retraining_manager.settings import RetrainingOptions, choose_settings

    if timeout is not None and not math.isfinite(timeout):
        raise click.UsageError("--timeout takes a number of seconds.")
    if evaluate_on == "":
        raise click.UsageError("--evaluate-on needs a path, a URL, or auto.")
    if base_model == "":
        raise click.UsageError("--base-model needs a folder, a name on the Hugging Face hub, or scratch.")
    if bool(models) == all_models:
        raise click.UsageError("Name the MODELs to train, or give --all.")
    try:
        settings = choose_settings(config, optional, base_model)
    except ManagerError as error:
        raise click.UsageError(str(error)) from error
    chosen = RetrainingOptions(
        require_distinct=require_distinct,
        accept_weak=accept_weak,
        evaluate_on=evaluate_on,
        timeout=timeout,
        settings=settings,
    )
    manager = _manager(options, chosen)
    result_is_kept()
    with sigterm_as_interrupt():
        try:
            summary = run_pipeline(manager, _chosen(models), force=force, skip_absent=all_models)
        except Interrupted as interrupted:
            summary = interrupted.summary
    if as_json:
        _print_json(summary)
    else:
        rows = [
            (model, state["outcome"], state["champion"] or "-", f"{state['training_time_seconds']:.0f} s")
            for model, state in summary["models"].items()
        ]
        _print_table(("model", "outcome", "live now", "time"), rows)
        _say(f"{summary['message']}; {manager.summaries.folder / PAGE} shows it")
    sys.exit(FAILED if summary["status"] == "failed" else 0)


@main.command("list")
@click.argument("models", nargs=-1, type=model_name, metavar="[MODEL ...]")
@_common
def list_versions(models: tuple[str, ...], as_json: bool, **options: Any) -> None:
    """List the versions of models, newest first."""
    from data_sources.counting import many
    from retraining_manager.models import spec_of

    manager = _manager(options)
    found: dict[str, Any] = {}
    for model in _chosen(models):
        registry = manager.registry(model)
        names = {version: name for name, version in vars(registry.aliases()).items()}
        found[model] = [
            {"version": version, "name": names.get(version), **_score(registry.verdict(version))}
            for version in reversed(registry.versions())
        ]
    if as_json:
        _print_json(found)
        return
    for model, versions in found.items():
        if not versions:
            _say(f"{model}: {manager.registry(model).why_nothing_is_live()}")
            continue
        _say(f"{model}: {many(len(versions), 'version')}")
        metric = spec_of(model).metric
        rows = [
            (
                version["version"],
                version["name"] or "-",
                version["verdict"] or "-",
                (version["score"] or "-").removeprefix(f"{metric} "),
            )
            for version in versions
        ]
        _print_table(("version", "name", "verdict", metric), rows)


@main.command()
@click.argument("model", type=model_name)
@click.argument("version", required=False)
@_common
def show(model: str, version: str | None, as_json: bool, model_directory: Path) -> None:
    """Show a version: its verdict, files, problems and history.

    Without VERSION, the live version is shown.
    """
    from retraining_manager.errors import ManagerError

    registry = _manager({"model_directory": model_directory}).registry(model)
    chosen = version or registry.aliases().champion
    if chosen is None:
        raise ManagerError(f"{model}: {registry.why_nothing_is_live()}")
    described: dict[str, Any] = {
        "model": model,
        "version": chosen,
        "path": str(registry.model_path(chosen)),
        "names": [name for name, named in vars(registry.aliases()).items() if named == chosen],
        "manifest": registry.manifest(chosen),
        "verdict": registry.verdict(chosen),
        "problems": registry.verify(chosen),
        "history": [move for move in registry.history() if chosen in (move["from"], move["to"])],
    }
    if as_json:
        _print_json(described)
        return
    _say(f"{model} {chosen} {' '.join(described['names'])}".rstrip())
    _say(f"path: {described['path']}")
    if described["verdict"]:
        _say(f"verdict: {described['verdict']['verdict']}")
        for reason in described["verdict"]["reasons"]:
            _say(f"  {reason}")
    for problem in described["problems"]:
        _say(f"problem: {problem}")
    _print_table(("file", "sha256"), [(k, v[:12]) for k, v in described["manifest"]["files"].items()])
    for move in described["history"]:
        _say(f"{move['time']} {move['from'] or 'nothing'} -> {move['to']} by {move['who']}: {move['reason']}")


@main.command()
@click.argument("model", type=model_name)
@click.argument("version")
@click.option("--reason", default="promoted by hand", show_default=True, help="Reason to note in the history.")
@_common
def promote(model: str, version: str, reason: str, as_json: bool, model_directory: Path) -> None:
    """Make a version live, whatever its verdict."""
    registry = _manager({"model_directory": model_directory}).registry(model)
    result_is_kept()
    moved = registry.promote(version, reason)
    aliases = registry.aliases()
    what = f"is live, {aliases.previous or 'nothing'} was before" if moved else "was live already"
    _moved(model, aliases, f"{version} {what}", as_json)


@main.command()
@click.argument("model", type=model_name)
@click.option("--reason", default="rolled back by hand", show_default=True, help="Reason to note in the history.")
@_common
def rollback(model: str, reason: str, as_json: bool, model_directory: Path) -> None:
    """Make the version live again that was live last.

    A version that was rolled back itself is passed over: a second rollback leads to the one before.
    """
    registry = _manager({"model_directory": model_directory}).registry(model)
    result_is_kept()
    registry.rollback(reason)
    aliases = registry.aliases()
    _moved(model, aliases, f"{aliases.champion} is live again, {aliases.previous} was rolled back", as_json)


@main.command()
@click.argument("models", nargs=-1, type=model_name, metavar="[MODEL ...]")
@click.option("--keep", type=WholeNumber(0), default=10, show_default=True, help="How many of the newest to keep.")
@_common
def prune(models: tuple[str, ...], keep: int, as_json: bool, **options: Any) -> None:
    """Remove old versions.

    The live version and the one before it always stay.
    """
    manager = _manager(options)
    result_is_kept()
    removed = {model: manager.registry(model).prune(keep) for model in _chosen(models)}
    if as_json:
        _print_json(removed)
        return
    for model, versions in removed.items():
        _say(f"{model}: removed {', '.join(versions) or 'nothing'}")


@main.command()
@click.argument("models", nargs=-1, type=model_name, metavar="[MODEL ...]")
@_common
def verify(models: tuple[str, ...], as_json: bool, **options: Any) -> None:
    """Find missing, changed and half-written versions.

    Exits with 1 if there are any.
    """
    manager = _manager(options)
    problems = {model: manager.registry(model).problems() for model in _chosen(models)}
    if as_json:
        _print_json(problems)
    else:
        for model, found in problems.items():
            registry = manager.registry(model)
            whole = "all versions are whole" if registry.versions() else registry.why_nothing_is_live()
            for line in found or [whole]:
                _say(f"{model}: {line}")
    sys.exit(FAILED if any(problems.values()) else 0)


def _manager(options: Mapping[str, Any], chosen: RetrainingOptions | None = None) -> RetrainingManager:
    from retraining_manager.errors import ManagerError
    from retraining_manager.manager import RetrainingManager
    from training.runs.job import SourceChoice

    source = SourceChoice(options.get("json_input"), options.get("data_source"), options.get("strict", False))
    try:
        return RetrainingManager(None, options["model_directory"], source=source, options=chosen)
    except ManagerError as error:
        raise click.UsageError(str(error)) from error


def _chosen(models: Sequence[str]) -> list[str]:
    return list(dict.fromkeys(models)) or list(MODELS)


def _score(verdict: Mapping[str, Any]) -> dict[str, str | None]:
    score = verdict.get("candidate_score")
    shown = None if score is None else f"{verdict['metric']} {score:.4f}{'' if verdict['held_out'] else ' in-sample'}"
    return {"verdict": verdict.get("verdict"), "score": shown}


def _moved(model: str, aliases: Aliases, what: str, as_json: bool) -> None:
    if as_json:
        _print_json({"model": model, **vars(aliases)})
    else:
        _say(f"{model}: {what}")


def _say(line: str, err: bool = False) -> None:
    from training.runs.progress import print_result
    from training.runs.wording import wrapped

    stream = sys.stderr if err else sys.stdout
    print_result(wrapped(line, stream) + "\n", stream)


def _print_json(content: Any) -> None:
    from training.runs.progress import print_result

    print_result(json.dumps(content, indent=2) + "\n")


def _print_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    from training.runs.wording import table_lines

    for line in table_lines([head, *rows], indent="", numbers=False):
        _say(line)


@contextmanager
def _one_line(verbose: bool) -> Iterator[None]:
    """A failure ends the process with one line on standard error and exit code 1."""
    try:
        yield
    except (click.ClickException, click.exceptions.Exit, click.Abort, KeyboardInterrupt):
        raise
    except Exception as error:
        from retraining_manager.errors import ManagerError
        from training.runs.process import failure_line

        logging.getLogger(__name__).debug("traceback", exc_info=error if verbose else None)
        line = f"Error: {failure_line(error, known=(ManagerError,))}"
        _say(line, err=True)
        if is_lost("stderr"):
            _say(line)
        sys.exit(FAILED)


@contextmanager
def sigterm_as_interrupt() -> Iterator[None]:
    """Handle SIGTERM, which systemd sends at a timeout, as Ctrl-C: scripts are stopped and summaries are written."""

    def stop(_number: int, _frame: Any) -> None:
        raise KeyboardInterrupt

    previous = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)
