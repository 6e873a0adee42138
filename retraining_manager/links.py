"""Where the registry's links lead, and names that stay inside it."""

from __future__ import annotations

from pathlib import Path

from retraining_manager.errors import RegistryError


def is_inside(name: str) -> bool:
    """Whether a relative path stays below where it starts."""
    path = Path(name)
    return not path.is_absolute() and ".." not in path.parts


def follow(link: Path) -> str | None:
    """Where a link leads, or the file that stands in for one."""
    try:
        return str(link.readlink()) if link.is_symlink() else link.read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        return None
    except IsADirectoryError:
        raise RegistryError(
            f"{link}: is a folder, not a link: the registry was copied without its links (cp -a keeps them); "
            "remove this folder and `promote` a version"
        ) from None
    except (OSError, ValueError) as error:
        raise RegistryError(f"{link}: cannot be read ({error!s:.120})") from error


def name_of_target(link: Path) -> str | None:
    """The last part of where a link leads; None where there is none."""
    target = follow(link)
    return None if target is None else Path(target).name
