"""Whether a base model can be had, asked before training: in a folder, in the Hugging Face cache, or on the hub.

Importing this imports no ML library, so a base that cannot be had is said at once.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from training.runs.errors import TrainingError
from training.runs.wording import one_line
from training.text.config import SCRATCH

HUB_SECONDS = 10.0  # for the hub to answer; its own downloads are tried again for a minute and a half
_HUB_NAME = re.compile(r"\w[\w.-]*(/\w[\w.-]*)?")  # "name" or "owner/name"
_WEIGHTS = ("*.safetensors", "*.bin")


def cache_folder() -> str | None:
    """The cache to look in; None for the library's own, which is $HF_HOME where that is set."""
    # huggingface_hub reads HF_HOME itself; the older variable is production's.
    return None if os.environ.get("HF_HOME") else os.environ.get("TRANSFORMERS_CACHE") or None


def cached(name: str) -> Path | None:
    """The folder of a model in the cache; it may hold a part of the model only. No request is sent."""
    import huggingface_hub

    try:
        return Path(huggingface_hub.snapshot_download(name, cache_dir=cache_folder(), local_files_only=True))
    except (OSError, ValueError):
        return None


def check_folder(name: str) -> None:
    """Refuse a base model that is no folder of a model, and no name on the hub by its form. No request is sent.

    Raises:
        TrainingError: There is no such folder, or it holds no base model. The message names it.
    """
    path = Path(name)
    if name == SCRATCH:
        return
    if path.is_dir():
        if (path / "adapter_config.json").is_file():
            raise TrainingError(
                f"{name}: holds an adapter, no base model; --resume-from starts from an adapter, --base-model takes "
                "what it was trained over"
            )
        if not (path / "config.json").is_file():
            raise TrainingError(
                f"{name}: holds no model (no config.json); give --base-model a model's folder or hub name"
            )
    elif path.is_file():
        raise TrainingError(f"{name}: is a file; give --base-model the folder of a model, or a hub name")
    elif not _HUB_NAME.fullmatch(name):
        raise TrainingError(f"{name}: no such folder; give --base-model the folder of a model, or a hub name")


def check_base(name: str) -> None:
    """Check that a base model is there or can be fetched; one request to the hub at most, without a retry.

    The name of a folder that is missing may be private. It is never sent to the hub where it cannot be a name there, or
    where its first part is a folder here.

    Raises:
        TrainingError: It is neither a folder, nor in the cache, nor on a hub that answers.
    """
    if name == SCRATCH or Path(name).is_dir():
        return
    check_folder(name)
    found = cached(name)
    if found is not None and (found / "config.json").is_file() and any(any(found.glob(end)) for end in _WEIGHTS):
        return
    first, slash, _ = name.partition("/")
    if slash and Path(first).is_dir():
        raise TrainingError(
            f"{name}: no such folder, and not in the Hugging Face cache; the hub is not asked for it, because "
            f"{first} is a folder here. Correct the path, or fetch a model of the hub from another folder"
        )
    why = _why_not_on_hub(name)
    if why is not None:
        raise TrainingError(missing_base(name, why))


def missing_base(name: str, why: str) -> str:
    """The line for a base that cannot be had, and what to do."""
    from huggingface_hub import constants

    place = cache_folder() or constants.HF_HUB_CACHE
    return (
        f"{name}: is not in the Hugging Face cache {place} and cannot be fetched ({why}); go online once and run "
        f"`hf download {name}`, set HF_HOME to a cache that has it, give --base-model a folder, or --base-model "
        f"{SCRATCH} to train one on the data"
    )


def _why_not_on_hub(name: str) -> str | None:
    from huggingface_hub import HfApi, constants
    from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, RepositoryNotFoundError

    if constants.HF_HUB_OFFLINE:
        variable = "HF_HUB_OFFLINE" if os.environ.get("HF_HUB_OFFLINE") else "TRANSFORMERS_OFFLINE"
        return f"{variable} is set"
    hub = os.environ.get("HF_ENDPOINT") or constants.ENDPOINT
    try:
        HfApi(endpoint=hub).model_info(name, timeout=HUB_SECONDS)
    except GatedRepoError:
        return f"{hub} wants its licence accepted, and HF_TOKEN of who did"
    except RepositoryNotFoundError:
        return f"{hub} has no model of this name, or HF_TOKEN may not see it"
    except HfHubHTTPError:
        return None  # a mirror may answer the download alone
    except Exception as error:  # noqa: BLE001 - of whichever HTTP library the hub's client uses
        return f"{hub} cannot be reached: {one_line(error) or type(error).__name__}"
    return None
