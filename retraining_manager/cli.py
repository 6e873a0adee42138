"""The command line of ``scripts/retrain.py``. Importing this imports click alone, so ``--help`` is instant."""

from __future__ import annotations

import json
import logging
import signal
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from training.runs.options import source_options

if TYPE_CHECKING:
    from retraining_manager.manager import RetrainingManager
    from retraining_manager.registry import Aliases
    from retraining_manager.settings import ModelSettings, RetrainingOptions
    from training.runs.job import SourceChoice

F = TypeVar("F", bound=Callable[..., Any])
FAILED = 1


def _common(command: F) -> F:
    @click.option(
        "--model-directory",
        type=click.Path(file_okay=True, path_type=Path),
        default=Path("models"),
        show_default=True,
        help="Where versions are kept, and production's paths beside them.",
    )
    @click.option("--json", "as_json", is_flag=True, help="JSON on standard output; the log goes to standard error.")
    @click.option("--verbose", is_flag=True, help="Debug messages, and the traceback of a failure.")
    @wraps(command)
    def explained(*args: Any, as_json: bool, verbose: bool, **options: Any) -> Any:
        from training.runs.process import configure_logging

        configure_logging(sys.stderr if as_json else sys.stdout, verbose=verbose, timestamps=True)
        with _one_line(verbose):
            return command(*args, as_json=as_json, **options)

    return explained  # type: ignore[return-value]


@click.group(context_settings={"max_content_width": 120})
def main() -> None:
    """Retrain the models: check the data, train, compare with what is live, publish or roll back.

    Exit codes: 0 all went well, also where a model was skipped or refused; 1 a required model, or the command, failed;
    2 wrong usage.
    """


@main.command()
@click.argument("models", nargs=-1, metavar="[MODEL ...]")
@click.option("--require-distinct", is_flag=True, help="Too few distinct pairs, queries, ... are a refusal.")
@source_options
@_common
def check(models: tuple[str, ...], require_distinct: bool, **options: Any) -> None:
    """Say which models have enough data, and why not; of all where none is named."""
    from retraining_manager.settings import RetrainingOptions

    as_json = options.pop("as_json")
    manager = _manager(options, RetrainingOptions(require_distinct=require_distinct))
    found = manager.check(_chosen(models))
    if as_json:
        _print_json(found)
        return
    rows = []
    for model, state in found.items():
        worth = ", ".join(f"{count} {what}" for what, count in state["distinct"].items())
        rows.append((model, "yes" if state["enough"] else "no", str(state["rows"]), worth))
    _print_table(("model", "enough", "rows", "distinct"), rows)
    for model, state in found.items():
        for line in (state["why"], *state["warnings"]):
            click.echo(f"{model}: {line}")


@main.command()
@click.argument("models", nargs=-1, metavar="[MODEL ...]")
@click.option("--all", "all_models", is_flag=True, help="All models; one that the source has no data for is skipped.")
@click.option(
    "--force", is_flag=True, help="Train however few rows there are, and pass --force to scripts that have it."
)
@click.option("--optional", multiple=True, metavar="MODEL", help="Its failure is no failure of the run. Repeatable.")
@click.option("--require-distinct", is_flag=True, help="Do not train on rows that are worth too little.")
@click.option("--accept-weak", is_flag=True, help="Publish what does not beat the baselines too; recorded.")
@click.option(
    "--evaluate-on",
    "--judge-on",
    "evaluate_on",
    metavar="SPEC",
    help="Compare on this source (as --data-source) instead of the training data's.",
)
@click.option(
    "--timeout", type=click.FloatRange(min=0, min_open=True), help="Seconds a script may take.  [default: none]"
)
@click.option("--config", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="YAML: settings by model.")
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
    config: Path | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Train, compare, and publish what is better than what is live."""
    from retraining_manager.pipeline import PAGE, Interrupted, run_pipeline
    from retraining_manager.settings import RetrainingOptions

    if bool(models) == all_models:
        raise click.UsageError("Name the MODELs to train, or give --all.")
    settings = _settings(config, _chosen(optional) if optional else [])
    chosen = RetrainingOptions(
        require_distinct=require_distinct,
        accept_weak=accept_weak,
        evaluate_on=evaluate_on,
        timeout=timeout,
        settings=settings,
    )
    manager = _manager(options, chosen)
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
        click.echo(f"{summary['message']}; {manager.summaries.folder / PAGE} shows it")
    sys.exit(FAILED if summary["status"] == "failed" else 0)


@main.command("list")
@click.argument("models", nargs=-1, metavar="[MODEL ...]")
@_common
def list_versions(models: tuple[str, ...], as_json: bool, **options: Any) -> None:
    """List the versions, the newest first."""
    manager = _manager(options)
    found: dict[str, Any] = {}
    for model in _chosen(models):
        registry = manager.registry(model)
        names = {version: name for name, version in vars(registry.aliases()).items()}
        found[model] = [
            {"version": version, "name": names.get(version), **_score(registry.path(version))}
            for version in reversed(registry.versions())
        ]
    if as_json:
        _print_json(found)
        return
    rows = [
        (model, state["version"], state["name"] or "", state["verdict"] or "-", state["score"] or "")
        for model, versions in found.items()
        for state in versions
    ]
    _print_table(("model", "version", "name", "verdict", "score"), rows)


@main.command()
@click.argument("model")
@click.argument("version", required=False)
@_common
def show(model: str, version: str | None, as_json: bool, model_directory: Path) -> None:
    """Show a version: its verdict, files and problems, and its moves; the champion where none is named."""
    from retraining_manager.errors import ManagerError

    registry = _manager({"model_directory": model_directory}).registry(_chosen((model,))[0])
    chosen = version or registry.aliases().champion
    if chosen is None:
        raise ManagerError(f"{model}: nothing is live; `run` trains it, `list` shows its versions")
    folder = registry.path(chosen)
    described: dict[str, Any] = {
        "model": model,
        "version": chosen,
        "path": str(registry.model_path(chosen)),
        "names": [name for name, named in vars(registry.aliases()).items() if named == chosen],
        "manifest": registry.manifest(chosen),
        "verdict": _read(folder / "verdict.json"),
        "problems": registry.verify(chosen),
        "history": [move for move in registry.history() if chosen in (move["from"], move["to"])],
    }
    if as_json:
        _print_json(described)
        return
    click.echo(f"{model} {chosen} {' '.join(described['names'])}".rstrip())
    click.echo(f"path: {described['path']}")
    if described["verdict"]:
        click.echo(f"verdict: {described['verdict']['verdict']}")
        for reason in described["verdict"]["reasons"]:
            click.echo(f"  {reason}")
    for problem in described["problems"]:
        click.echo(f"problem: {problem}")
    _print_table(("file", "sha256"), [(k, v[:12]) for k, v in described["manifest"]["files"].items()])
    for move in described["history"]:
        click.echo(f"{move['time']} {move['from'] or 'nothing'} -> {move['to']} by {move['who']}: {move['reason']}")


@main.command()
@click.argument("model")
@click.argument("version")
@click.option("--reason", default="promoted by hand", show_default=True, help="Stands in the history.")
@_common
def promote(model: str, version: str, reason: str, as_json: bool, model_directory: Path) -> None:
    """Make a version live, whatever its verdict."""
    registry = _manager({"model_directory": model_directory}).registry(_chosen((model,))[0])
    registry.promote(version, reason)
    _moved(model, registry.aliases(), as_json)


@main.command()
@click.argument("model")
@click.option("--reason", default="rolled back by hand", show_default=True, help="Stands in the history.")
@_common
def rollback(model: str, reason: str, as_json: bool, model_directory: Path) -> None:
    """Make the version that was live before live again."""
    registry = _manager({"model_directory": model_directory}).registry(_chosen((model,))[0])
    registry.rollback(reason)
    _moved(model, registry.aliases(), as_json)


@main.command()
@click.argument("models", nargs=-1, metavar="[MODEL ...]")
@click.option("--keep", type=click.IntRange(0), default=10, show_default=True, help="The newest that stay.")
@_common
def prune(models: tuple[str, ...], keep: int, as_json: bool, **options: Any) -> None:
    """Remove old versions, never the live one or the one before."""
    manager = _manager(options)
    removed = {model: manager.registry(model).prune(keep) for model in _chosen(models)}
    if as_json:
        _print_json(removed)
        return
    for model, versions in removed.items():
        click.echo(f"{model}: removed {', '.join(versions) or 'nothing'}")


@main.command()
@click.argument("models", nargs=-1, metavar="[MODEL ...]")
@_common
def verify(models: tuple[str, ...], as_json: bool, **options: Any) -> None:
    """Find missing, changed and half-written versions; exit 1 where there are any."""
    manager = _manager(options)
    problems = {model: manager.registry(model).problems() for model in _chosen(models)}
    if as_json:
        _print_json(problems)
    else:
        for model, found in problems.items():
            for line in found or ["all versions are whole"]:
                click.echo(f"{model}: {line}")
    sys.exit(FAILED if any(problems.values()) else 0)


def _manager(options: Mapping[str, Any], chosen: RetrainingOptions | None = None) -> RetrainingManager:
    from retraining_manager.manager import RetrainingManager

    return RetrainingManager(None, options["model_directory"], source=_source(options), options=chosen)


def _source(options: Mapping[str, Any]) -> SourceChoice:
    from training.runs.job import SourceChoice

    for value in (options.get("json_input"), options.get("data_source")):
        if value == "-":
            raise click.UsageError("Standard input can be read once only, and each model reads; give a file or folder.")
    return SourceChoice(options.get("json_input"), options.get("data_source"), options.get("strict", False))


def _chosen(models: Sequence[str]) -> list[str]:
    from retraining_manager.errors import ManagerError
    from retraining_manager.models import SPECS, spec_of

    try:
        for model in models:
            spec_of(model)
    except ManagerError as error:
        raise click.UsageError(str(error)) from error
    return list(dict.fromkeys(models)) or list(SPECS)


def _settings(path: Path | None, optional: Sequence[str]) -> dict[str, ModelSettings]:
    from retraining_manager.errors import ManagerError
    from retraining_manager.settings import ModelSettings, read_settings

    try:
        settings = {} if path is None else read_settings(path)
    except ManagerError as error:
        raise click.UsageError(str(error)) from error
    for model in optional:
        settings[model] = settings.get(model, ModelSettings()).model_copy(update={"optional": True})
    return settings


def _score(folder: Path) -> dict[str, str | None]:
    verdict = _read(folder / "verdict.json")
    score = verdict.get("candidate_score")
    shown = None if score is None else f"{verdict['metric']} {score:.4f}{'' if verdict['held_out'] else ' in-sample'}"
    return {"verdict": verdict.get("verdict"), "score": shown}


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _moved(model: str, aliases: Aliases, as_json: bool) -> None:
    if as_json:
        _print_json({"model": model, **vars(aliases)})
    else:
        click.echo(f"{model}: {aliases.champion} is live, {aliases.previous or 'nothing'} was before")


def _print_json(content: Any) -> None:
    click.echo(json.dumps(content, indent=2))


def _print_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    for row in (head, *rows):
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


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
        click.echo(f"Error: {failure_line(error, known=(ManagerError,))}", err=True)
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
