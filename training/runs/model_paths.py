"""What a loader opens at the path that it is given: a model file, also by the folder of its version, or a run."""

from __future__ import annotations

from pathlib import Path

from data_sources.counting import many
from data_sources.paths import is_file, is_folder, is_there
from training.runs.artifacts import RUN_FILE
from training.runs.errors import ModelFileError
from training.runs.folders import link_target
from training.runs.models import MODELS

LATEST = "latest"


def how_to_get(model: str) -> str:
    """What to do where a model is missing."""
    place = MODELS[model].place
    shown = place if place.suffix else place / LATEST
    return f"`home-synergy train {model.replace('_', '-')}` trains one ({shown}, where no flag says otherwise)"


def model_file(model: str, path: Path) -> Path:
    """The file of a model that is one file: ``path``, or the only such file in the folder ``path``.

    Raises ModelFileError where the folder does not hold exactly one.
    """
    if not is_folder(path):
        return path
    ending = MODELS[model].place.suffix
    files = sorted(path.glob(f"*{ending}"))
    if len(files) != 1:
        raise ModelFileError(
            f"{path}: is a folder with {many(len(files), f'{ending} file')}; give a model file, or the folder of a "
            "version, which holds one"
        )
    return files[0]


def run_directory(model: str, path: Path) -> Path:
    """The run directory that ``path`` is or leads to. Raises ModelFileError where there is none."""
    if not is_there(path) and not path.is_symlink():
        raise ModelFileError(f"{path}: no such run directory; {how_to_get(model)}")
    run = link_target(path).resolve()  # one run, wherever the link leads while it is read
    if not is_folder(run):
        raise ModelFileError(f"{path}: leads to {run}, which is no run directory; {how_to_get(model)}")
    if not is_file(run / RUN_FILE):
        inside = run / LATEST
        advice = f"give {path / LATEST}" if is_there(inside) else how_to_get(model)
        raise ModelFileError(f"{path}: is not a run directory that can be loaded (it has no {RUN_FILE}); {advice}")
    return run
