"""The documentation names nothing that is not there: links, files, modules, commands, flags, settings."""

from __future__ import annotations

import ast
import configparser
import contextlib
import importlib.util
import re
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, get_args

import click
import pytest
from support import ROOT

from home_synergy.cli import main as home_synergy
from retraining_manager.summaries import ModelSummary
from training.runs.settings import settings_of
from training.runs.summary import Status


def _loaded(path: Path) -> Any:
    """A file as a module, whatever else is called ``docs`` on the machine."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


write_reference = _loaded(ROOT / "docs" / "write_reference.py")
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
PACKAGES = ("data_sources", "home_assistant", "home_synergy", "retraining_manager", "simulation", "training")
# What users have and the project does not: their data, and what training leaves.
OF_USERS = ("models", "data", "simulation_results")
INSTALLED_AT = "/opt/home-synergy-training/"  # in the examples
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")


class Snippet(NamedTuple):
    """A line of shell, a block of Python, or a piece of inline code, with the page that has it."""

    page: Path
    text: str

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}: {self.text.strip().splitlines()[0][:70]}"


def fences(*languages: str) -> list[Snippet]:
    found = []
    for page in PAGES:
        for language, text in _FENCE.findall(page.read_text(encoding="utf-8")):
            if language in languages:
                found.append(Snippet(page, text))
    return found


def inline_code() -> list[Snippet]:
    found = []
    for page in PAGES:
        prose = _FENCE.sub("", page.read_text(encoding="utf-8"))
        found += [Snippet(page, text) for text in re.findall(r"`([^`\n]+)`", prose)]
    return found


def command_lines() -> list[Snippet]:
    """Every line of a shell block."""
    return [
        Snippet(page, line)
        for page, block in fences("sh")
        for line in block.replace("\\\n", " ").splitlines()
        if line.strip() and not line.startswith("#")
    ]


def commands_in_prose() -> list[Snippet]:
    """Inline code that is a command; what it takes may be left out there."""
    starts = ("home-synergy ", "python ", "make ", "pip install ", "torchrun ")
    return [code for code in inline_code() if code.text.startswith(starts) and "..." not in code.text]


# -- Links and paths ---------------------------------------------------------------------------------------------------


def links() -> list[tuple[Path, str]]:
    found = []
    for page in PAGES:
        prose = _FENCE.sub("", page.read_text(encoding="utf-8"))
        found += [(page, target) for target in _LINK.findall(prose) if not re.match(r"[a-z]+:", target)]
    return found


def anchors(page: Path) -> set[str]:
    """The fragments that GitHub makes of a page's headings."""
    prose = _FENCE.sub("", page.read_text(encoding="utf-8"))
    headings = re.findall(r"^#+ (.+)$", prose, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_relative_link_leads_to_a_file_and_a_heading() -> None:
    assert len(links()) > 50
    broken = []
    for page, target in links():
        path, _, fragment = target.partition("#")
        there = (page.parent / path).resolve() if path else page
        if not there.exists() or (fragment and fragment not in anchors(there)):
            broken.append(f"{page.relative_to(ROOT)} -> {target}")
    assert not broken


def test_every_page_can_be_reached_from_the_readme() -> None:
    reached, open_ = set(), [ROOT / "README.md"]
    while open_:
        page = open_.pop()
        reached.add(page)
        targets = {(page.parent / target.partition("#")[0]).resolve() for of, target in links() if of == page}
        open_ += [target for target in targets if target.suffix == ".md" and target not in reached]
    assert reached == set(PAGES)


def is_missing(path: str) -> bool:
    """Whether this is a path inside one of the project's folders, and nothing is there."""
    path = path.removeprefix(INSTALLED_AT)
    top, _, rest = path.partition("/")
    if not top or not rest or top in OF_USERS or not (ROOT / top).is_dir() or re.search(r"[<>*{} ]", path):
        return False
    return not (ROOT / path).exists()


def test_every_path_of_the_project_in_the_text_exists() -> None:
    named = [*inline_code(), *(line for block in fences("sh") for line in words(block))]
    missing = [str(code) for code in named if is_missing(code.text.rstrip("/,."))]
    assert not missing


def words(block: Snippet) -> Iterator[Snippet]:
    for line in block.text.splitlines():
        yield from (Snippet(block.page, word) for word in shlex.split(line, comments=True))


def test_every_page_that_a_message_or_a_comment_names_exists() -> None:
    folders = (*PACKAGES, "scripts", "benchmarks", "examples", "tests")
    named = {
        (path.relative_to(ROOT), page)
        for folder in folders
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and path.suffix in (".py", ".service", ".yaml", ".cfg", "")
        for page in re.findall(r"\bdocs/[\w/-]+\.md", path.read_text(encoding="utf-8"))
    }
    assert named
    assert not [(str(path), page) for path, page in named if not (ROOT / page).is_file()]


# -- Commands ----------------------------------------------------------------------------------------------------------


class NotThereError(Exception):
    """A command line names a program, file, command or flag that does not exist."""


class IncompleteError(NotThereError):
    """A command line lacks what its command requires."""


def check_line(line: str) -> None:
    """Raises NotThereError for the first thing that the line names and that does not exist."""
    tokens = [token for token in shlex.split(line, comments=True) if not re.match(r"[A-Z_]+=", token)]
    if not tokens:
        return
    program, *arguments = tokens
    if Path(program).name == "home-synergy":
        check_click(home_synergy, arguments)
    elif program in ("python", "torchrun") or Path(program).name == "python":
        at = next((i for i, token in enumerate(arguments) if token.endswith(".py")), None)
        if at is None:
            raise NotThereError(f"{line}: runs no file")
        check_script(arguments[at], arguments[at + 1 :])
    elif program == "make":
        targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
        if arguments[0] not in targets:
            raise NotThereError(f"make {arguments[0]}")
    elif program == "pip":
        check_pip(arguments)
    elif program not in (*". chown cp crontab docker eval fuser mkdir mv rm sqlite3 systemctl useradd".split(),):
        raise NotThereError(f"{program}: no known program")


def check_script(name: str, arguments: Sequence[str]) -> None:
    path = ROOT / name
    if not path.is_file():
        raise NotThereError(name)
    if path.parent.name == "scripts":
        check_click(write_reference.script_commands()[path.name], arguments)
    elif path.parent.name == "benchmarks":
        # Read and not imported: some import the ML libraries at once.
        code = path.read_text(encoding="utf-8")
        known = set(re.findall(r'click\.option\(\s*"(--[\w-]+)"', code))
        files = [word for word in arguments if re.fullmatch(r"[a-z]\w*(\.\w+|/\w+)?", word)]
        if "nargs=-1" not in code and len(files) > len(re.findall(r"click\.argument\(", code)) + code.count(
            "click.Path("
        ):
            raise NotThereError(f"{name} {' '.join(files)}: takes fewer")
        for flag in arguments:
            if flag.startswith("--") and flag.partition("=")[0] not in known:
                raise NotThereError(f"{name} {flag}")


def check_click(command: click.Command, arguments: Sequence[str]) -> None:
    """Parse the arguments as the command would, and run nothing."""
    rest = list(arguments)
    while isinstance(command, click.Group) and rest and not rest[0].startswith("-"):
        name = rest.pop(0)
        child = command.get_command(click.Context(command), name)
        if child is None:
            raise NotThereError(f"no command {name}")
        command = child
    if isinstance(command, click.Group) and not rest:
        return  # a group by itself is spoken of, as in "home-synergy retrain"
    settings = [setting for config in write_reference.configurations() for _, setting in settings_of(config).values()]
    former = {name for setting in settings for name in setting.former}
    for token in rest:
        if token.partition("=")[0] in former:
            raise NotThereError(f"{token}: a former name")
    try:
        command.make_context(command.name or "", rest)
    except click.exceptions.Exit:
        return  # --version has been printed
    except click.MissingParameter as error:
        raise IncompleteError(error.format_message()) from error
    except click.BadParameter as error:
        if not isinstance(error.param and error.param.type, click.Path):  # a reader's own file
            raise NotThereError(error.format_message()) from error
    except click.UsageError as error:
        raise NotThereError(error.format_message()) from error


def check_pip(arguments: Sequence[str]) -> None:
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    for argument in arguments:
        for extra in re.findall(r"\.\[([\w,]+)\]", argument):
            for name in extra.split(","):
                if name not in config["options.extras_require"]:
                    raise NotThereError(f"extra {name}")


@pytest.mark.parametrize("line", command_lines(), ids=str)
def test_every_command_line_can_be_parsed_by_the_command_that_it_names(line: Snippet) -> None:
    check_line(line.text)


@pytest.mark.parametrize("line", commands_in_prose(), ids=str)
def test_every_command_in_the_text_exists(line: Snippet) -> None:
    with contextlib.suppress(IncompleteError):
        check_line(line.text)


@pytest.mark.parametrize(
    "line",
    [
        "python scripts/retrain.py show",
        "home-synergy trian gnn-synergy",
        "home-synergy train gnn-synergy --epoch-count 3",
        "home-synergy train gnn-synergy --epochs many",
        "home-synergy evaluate --model-path m.pth --known 0.5",
        "python scripts/train_everything.py",
        "python scripts/retrain.py run --everything",
        "python benchmarks/scale.py --everything",
        "make everything",
        "pip install '.[everything]'",
        "home-synergi suggest",
    ],
)
def test_a_wrong_command_line_is_found(line: str) -> None:
    with pytest.raises(NotThereError):
        check_line(line)


def test_every_flag_in_the_text_belongs_to_a_command() -> None:
    """Flags in prose, such as ``--dry-run``, of any command, script or benchmark of the project."""
    commands = [command.command for command in write_reference.described()]
    known = {
        name
        for command in commands
        for parameter in command.params
        if isinstance(parameter, click.Option)
        for name in (*parameter.opts, *parameter.secondary_opts)
    }
    for path in (ROOT / "benchmarks").glob("*.py"):
        known |= set(re.findall(r'click\.option\(\s*"(--[\w-]+)"', path.read_text(encoding="utf-8")))
    known |= {"--help", "--version"}
    named = [Snippet(code.page, flag) for code in inline_code() for flag in re.findall(r"^--[\w-]+", code.text)]
    assert len(named) > 100
    assert not [str(flag) for flag in named if flag.text not in known]


# -- Python ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("block", fences("python"), ids=str)
def test_every_python_block_parses_and_imports_names_that_exist(block: Snippet) -> None:
    for node in ast.walk(ast.parse(block.text)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in PACKAGES:
            for alias in node.names:
                assert alias.name in names_of(node.module or ""), f"{node.module}.{alias.name}"


def test_every_method_in_a_python_block_belongs_to_its_class() -> None:
    checked = 0
    for block in fences("python"):
        tree = ast.parse(block.text)
        classes = {
            alias.name: methods(node.module or "", alias.name)
            for node in ast.walk(tree)
            if isinstance(node, ast.ImportFrom)
            for alias in node.names
            if alias.name[0].isupper() and (node.module or "").split(".")[0] in PACKAGES
        }
        variables = {
            node.targets[0].id: class_of(node.value, classes)
            for node in ast.walk(tree)
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
        }
        for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
            if not isinstance(call.func, ast.Attribute):
                continue
            owner = class_of(call.func.value, classes, variables)
            if owner is not None:
                checked += 1
                assert call.func.attr in classes[owner], f"{block}: {owner}.{call.func.attr}"
                keywords = {keyword.arg for keyword in call.keywords}
                assert keywords <= classes[owner][call.func.attr], f"{block}: {owner}.{call.func.attr}{keywords}"
    assert checked > 10


def class_of(node: ast.expr, classes: dict[str, Any], variables: dict[str, Any] | None = None) -> str | None:
    """The class of ``X``, ``X(...)``, ``X.load(...)`` or a variable of one of these."""
    if isinstance(node, ast.Name):
        return node.id if node.id in classes else (variables or {}).get(node.id)
    if isinstance(node, ast.Call):
        function = node.func
        if isinstance(function, ast.Attribute) and function.attr == "load":
            return class_of(function.value, classes)
        return class_of(function, classes) if isinstance(function, ast.Name) else None
    return None


def source_of(module: str) -> ast.Module:
    """Read and not imported, so that a check of names costs no ML library."""
    spec = importlib.util.find_spec(module)
    assert spec is not None, f"{module}: no such module"
    assert spec.origin is not None
    return ast.parse(Path(spec.origin).read_text(encoding="utf-8"))


def names_of(module: str) -> set[str]:
    """What can be imported from a module: its own names, those of ``__all__``, and its submodules."""
    found = set()
    for node in source_of(module).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            found |= {alias.asname or alias.name for alias in node.names}
        elif isinstance(node, ast.Assign):
            found |= {target.id for target in node.targets if isinstance(target, ast.Name)}
            if any(isinstance(target, ast.Name) and target.id == "__all__" for target in node.targets):
                found |= set(ast.literal_eval(node.value))
    return found


def methods(module: str, name: str) -> dict[str, set[str]]:
    """Method -> its parameters, of a class that may be re-exported from another module."""
    tree = source_of(module)
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.level == 0 and name in {alias.name for alias in node.names}:
            return methods(node.module or "", name)
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and node.name == name:
            return {
                item.name: {argument.arg for argument in (*item.args.args, *item.args.kwonlyargs)}
                for item in node.body
                if isinstance(item, ast.FunctionDef | ast.AsyncFunctionDef)
            }
    return {}


def test_every_module_in_the_text_exists() -> None:
    named = [code for code in inline_code() if re.fullmatch(rf"({'|'.join(PACKAGES)})(\.\w+)+", code.text)]
    for code in named:
        module, _, last = code.text.rpartition(".")
        assert (
            (ROOT / Path(*code.text.split("."))).with_suffix(".py").is_file()
            or last in names_of(module)
            or (ROOT / Path(*code.text.split("."))).is_dir()
        ), str(code)


# -- Settings ----------------------------------------------------------------------------------------------------------


def test_the_reference_says_what_the_code_says() -> None:
    written = write_reference.PAGE.read_text(encoding="utf-8")
    assert written == write_reference.page(), "run: python docs/write_reference.py"
    assert "| `--epochs` `INTEGER` (x >= 0) | `GNN_EPOCHS` | 30 from 100 homes" in written


def test_every_configuration_is_in_the_reference() -> None:
    documented = {config for command in write_reference.described() for config in command.configurations}
    assert documented == set(write_reference.configurations())


def test_every_variable_of_a_configuration_is_in_the_reference() -> None:
    written = write_reference.PAGE.read_text(encoding="utf-8")
    variables = {
        name
        for config in write_reference.configurations()
        for _, setting in settings_of(config).values()
        for name in setting.variables
    }
    assert {"GNN_EPOCHS", "SOFT_PROMPT_BASE_MODEL"} <= variables
    assert not [name for name in variables if f"`{name}`" not in written]


# -- Figures -----------------------------------------------------------------------------------------------------------

BENCHMARKS = ROOT / "docs" / "reference" / "benchmarks.md"
# A table with numbers in it, other than dates and versions, is one of figures.
_FIGURES = re.compile(r"^\|.*\|\s*[\d.,]+(?: \([\d. x-]+\))? \|", re.MULTILINE)


def sections(page: Path) -> Iterator[str]:
    """A page cut at its headings of the second level."""
    yield from re.split(r"^## ", page.read_text(encoding="utf-8"), flags=re.MULTILINE)


def test_every_benchmark_is_in_the_list_of_benchmarks() -> None:
    commands = {
        f"benchmarks/{path.name}"
        for path in (ROOT / "benchmarks").glob("*.py")
        if "__main__" in path.read_text(encoding="utf-8")
    }
    assert commands == set(re.findall(r"^\| `(benchmarks/\w+\.py)`", BENCHMARKS.read_text(encoding="utf-8"), re.M))


def test_every_file_that_a_benchmark_is_given_ships_or_is_said_to_be_from_elsewhere() -> None:
    explained = set(re.findall(r"^\| `([\w.]+)` \|", BENCHMARKS.read_text(encoding="utf-8"), re.MULTILINE))
    given = set()
    for line in command_lines():
        tokens = [token for token in shlex.split(line.text, comments=True) if not re.match(r"[A-Z_]+=", token)]
        if len(tokens) > 1 and tokens[0] == "python" and tokens[1].startswith("benchmarks/"):
            known = {token for token in tokens[2:] if (ROOT / token).exists()}
            given |= {token for token in tokens[2:] if re.fullmatch(r"[a-z]\w*(\.\w+)?", token)} - known
    assert "homes.jsonl" in given
    assert given <= explained


def test_every_section_with_a_table_of_figures_shows_the_command_that_prints_them() -> None:
    checked = 0
    for page in (*(ROOT / "docs" / "explanation").glob("*.md"), ROOT / "docs" / "reference" / "sources.md"):
        for section in sections(page):
            if len(_FIGURES.findall(section)) < 3:
                continue
            checked += 1
            assert re.search(r"^(?:\w+=\w+ )?(?:python|home-synergy) ", section, re.MULTILINE), (
                page.name,
                section[:60],
            )
    assert checked > 4


# -- Help --------------------------------------------------------------------------------------------------------------


def options_of_benchmarks() -> Iterator[tuple[str, set[str | None]]]:
    """Each option of a benchmark with the keywords that it is made with; read and not imported."""
    for path in sorted((ROOT / "benchmarks").glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "option":
                yield f"{path.name} {ast.unparse(node.args[0])}", {keyword.arg for keyword in node.keywords}


def test_every_option_says_in_words_what_it_does() -> None:
    wordless = [
        f"{described.path} {option.opts}"
        for described in write_reference.described()
        for option in described.command.params
        if isinstance(option, click.Option)
        and not option.hidden
        and not re.sub(r"\[default: .*\]", "", option.help or "").strip()
    ]
    wordless += [name for name, keywords in options_of_benchmarks() if keywords.isdisjoint({"help", "hidden"})]
    assert not wordless


def test_the_file_that_a_command_writes_has_one_name_in_all_of_them() -> None:
    """``--output`` is what a command is called for, ``--summary-path`` tells how a run of a training went."""
    names = {
        name
        for described in write_reference.described()
        for option in described.command.params
        if isinstance(option, click.Option)
        for name in option.opts
        if re.search("output|report|result|summary|scores", name)
    }
    assert names - {"--report"} == {"--output", "--output-dir", "--summary-path", "--scores"} & names
    former = [
        setting.former for config in write_reference.configurations() for _, setting in settings_of(config).values()
    ]
    assert ("--report",) in former


# -- Operation ---------------------------------------------------------------------------------------------------------

OPERATE = ROOT / "docs" / "how-to" / "operate.md"


def section_of(page: Path, heading: str) -> str:
    return next(section for section in sections(page) if section.startswith(f"{heading}\n"))


def test_every_message_that_the_operator_is_told_of_is_one_of_the_code() -> None:
    told = re.findall(r"^\| (`[^|]+) \|", section_of(OPERATE, "When a training fails"), re.MULTILINE)
    messages = [message for cell in told for message in re.findall(r"`([^`]+)`", cell)]
    code = "\n".join(
        path.read_text(encoding="utf-8") for package in PACKAGES for path in (ROOT / package).rglob("*.py")
    )
    assert len(messages) > 8
    assert not [message for message in messages if message not in code]


def test_every_outcome_of_a_model_is_explained_to_the_operator() -> None:
    explained = set(re.findall(r"^\| ([a-z ()]+) \|", section_of(OPERATE, "Read the outcome"), re.MULTILINE))
    outcomes = {
        ModelSummary.of(
            "gnn_synergy", status, "", promoted=promoted, version=version, champion="a", optional=optional
        ).outcome
        for status in get_args(Status)
        for promoted in (True, False)
        for version in ("a", "b")
        for optional in (True, False)
    }
    assert explained - {"outcome"} == outcomes


def test_every_picture_is_there() -> None:
    pictures = [
        page.parent / target
        for page in PAGES
        for target in re.findall(r"!\[[^\]]*\]\(([^)\s]+)\)", page.read_text(encoding="utf-8"))
    ]
    assert pictures
    assert [picture for picture in pictures if not picture.is_file()] == []
