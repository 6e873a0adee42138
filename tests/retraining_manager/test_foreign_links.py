"""No link makes the registry touch what is not its own. Everything here happens in throw-away folders."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from registry_crash import add, registry

from retraining_manager.errors import RegistryError
from retraining_manager.registry import Registry

OPERATIONS: dict[str, Callable[[Registry], object]] = {
    "promote": lambda of: of.promote(of.versions()[0], "again"),
    "rollback": lambda of: of.rollback("back"),
    "adopt": lambda of: of.adopt(),
    "prune": lambda of: of.prune(0),
    "list": lambda of: of.aliases(),
    "run": lambda of: of.running().__enter__(),
}
LINKS = {
    "absolute": lambda _folder, victim: str(victim),
    "relative upward": lambda folder, victim: f"../{victim.relative_to(folder.parent)}",
    "absolute into its own states": lambda folder, _victim: str(next((folder / "states").iterdir())),
    "to itself": lambda _folder, _victim: "live",
    "dangling": lambda _folder, _victim: "/no/such/place",
    "a state that is upward": lambda folder, victim: f"states/../../{victim.relative_to(folder.parent)}",
}


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    """A folder of somebody else's, which must survive everything."""
    folder = tmp_path / "models" / "precious"
    (folder / "inside").mkdir(parents=True)
    (folder / "inside" / "file").write_text("mine")
    (folder / "champion").symlink_to("inside")
    return folder


@pytest.fixture
def two_versions(tmp_path: Path, victim: Path) -> Registry:
    found = registry(tmp_path)
    for number in range(3):
        found.promote(add(found, tmp_path, f"model {number}"), "first")
    return found


def tree(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text() if path.is_file() else "" for path in folder.rglob("*")}


@pytest.mark.parametrize("stand_in", [False, True], ids=["symlink", "file"])
@pytest.mark.parametrize("link", LINKS)
@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_live_link_that_leads_out_is_an_error_that_names_it(
    two_versions: Registry, victim: Path, operation: str, link: str, stand_in: bool
) -> None:
    before = tree(victim)
    live = two_versions.folder / "live"
    target = LINKS[link](two_versions.folder, victim)
    live.unlink()
    if stand_in:
        live.write_text(target)
    else:
        live.symlink_to(target)
    versions = two_versions.versions()
    with pytest.raises(RegistryError) as failure:
        OPERATIONS[operation](two_versions)
    assert str(live) in str(failure.value)
    assert "\n" not in str(failure.value)
    assert tree(victim) == before
    assert two_versions.versions() == versions, "nothing was removed"
    assert any(str(live) in problem for problem in two_versions.problems()), "verify says so"


@pytest.mark.parametrize("name", ["champion", "previous"])
def test_an_alias_that_leads_out_of_the_versions_is_an_error(two_versions: Registry, victim: Path, name: str) -> None:
    before = tree(victim)
    alias = two_versions.folder / "live" / name
    version = alias.readlink().name
    alias.unlink()
    (victim / version).mkdir()
    alias.symlink_to(victim / version)
    with pytest.raises(RegistryError, match="no version of this registry"):
        two_versions.rollback("back")
    (victim / version).rmdir()
    assert tree(victim) == before


@pytest.mark.parametrize("place", ["versions", "states", "versions/.staging-x", ".work-x"])
def test_a_folder_of_the_registry_that_is_a_link_is_never_emptied(
    two_versions: Registry, tmp_path: Path, victim: Path, place: str
) -> None:
    before = tree(victim)
    folder = two_versions.folder / place
    if folder.exists():
        folder.rename(tmp_path / "moved")
    folder.symlink_to(victim)
    operations = [
        lambda: two_versions.running().__enter__(),
        lambda: two_versions.prune(0),
        lambda: add(two_versions, tmp_path, "another"),
        lambda: two_versions.rollback("back"),
    ]
    refused = 0
    for operation in operations:
        try:
            operation()
        except RegistryError as error:
            refused += str(folder) in str(error) or str(two_versions.folder) in str(error)
    assert refused, "at least the operation that would have removed something names the link"
    assert tree(victim) == before


def test_a_version_that_is_a_link_is_not_pruned_through(two_versions: Registry, tmp_path: Path, victim: Path) -> None:
    before = tree(victim)
    foreign = two_versions.versions_folder / "20200101T000000000Z-00000000"
    foreign.symlink_to(victim)
    with pytest.raises(RegistryError, match="is a link to"):
        two_versions.prune(1)
    assert tree(victim) == before


def test_what_latest_leads_to_is_taken_in_only_where_it_is_a_run(tmp_path: Path, victim: Path) -> None:
    latest = tmp_path / "data" / "latest"
    latest.parent.mkdir()
    latest.symlink_to(victim)
    found = Registry(tmp_path / "models" / "soft_prompt", "run", latest)
    with pytest.raises(RegistryError, match="holds no run"):
        found.adopt()
    assert found.versions() == []
