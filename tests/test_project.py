"""House rules that no other tool checks."""

from __future__ import annotations

import ast
import re
import subprocess
import tomllib
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[1]
LOCKS = ("requirements/runtime.txt", "requirements/dev.txt")
MODULES = sorted((PROJECT / "daemon").rglob("*.py"))
LONGEST_FILE = 400
LONGEST_FUNCTION = 50
NAMED = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


def project_files() -> list[Path]:
    """Every text file of the project that git knows or would add."""
    command = ["git", "-C", str(PROJECT), "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    listed = subprocess.run(command, check=False, capture_output=True)
    if listed.returncode:
        pytest.skip("not a git work tree")
    paths = [PROJECT / name.decode() for name in listed.stdout.split(b"\0") if name]
    return [path for path in paths if path.is_file() and b"\0" not in path.read_bytes()[:1024]]


def requirements(lock: str) -> dict[str, list[str]]:
    """Each locked requirement with its hashes."""
    entries = re.sub(r"\\\n\s*", "", (PROJECT / lock).read_text()).splitlines()
    return {entry.split()[0]: re.findall(r"--hash=(\S+)", entry) for entry in entries}


@pytest.mark.parametrize("lock", LOCKS)
def test_every_requirement_is_locked_with_hashes(lock: str) -> None:
    locked = requirements(lock)
    assert len(locked) > 40
    for requirement, hashes in locked.items():
        assert re.fullmatch(r"[a-z0-9.-]+(\[[a-z0-9,-]+\])?==[0-9a-z.]+", requirement)
        assert hashes
        assert all(re.fullmatch("sha256:[0-9a-f]{64}", each) for each in hashes)


@pytest.mark.parametrize("lock", LOCKS)
def test_the_lock_names_no_address_and_no_path(lock: str) -> None:
    assert not re.search(r"://|/|index|find-links", (PROJECT / lock).read_text().replace("--hash", ""))


def test_the_lock_has_every_direct_dependency_and_development_changes_none() -> None:
    names = {name.split("==")[0] for name in requirements(LOCKS[0])}
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())
    wanted = {re.split(r"[<>=\[]", text)[0] for text in [*project["project"]["dependencies"], *project["build-system"]["requires"]]}
    assert wanted <= names
    assert requirements(LOCKS[0]).items() <= requirements(LOCKS[1]).items()


def test_no_file_names_a_package_index_or_a_home_folder() -> None:
    forbidden = re.compile(rb"py" rb"pi\.org|python" rb"hosted|registry\.npm" rb"js|deb\.deb" rb"ian|/ro" rb"ot/|/wo" rb"rk/")
    assert [str(path.relative_to(PROJECT)) for path in project_files() if forbidden.search(path.read_bytes())] == []


def functions(tree: ast.Module) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """All functions of a module."""
    return (node for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)))


def offenders(is_wrong: Callable[[str, ast.Module], bool]) -> list[str]:
    """The modules of the package for which ``is_wrong(text, tree)`` holds."""
    texts = {str(path.relative_to(PROJECT / "daemon")): path.read_text() for path in MODULES}
    return [name for name, text in texts.items() if is_wrong(text, ast.parse(text))]


def test_every_module_says_why_it_exists() -> None:
    assert offenders(lambda _, tree: not ast.get_docstring(tree)) == []


def test_modules_and_functions_are_short() -> None:
    assert offenders(lambda text, _: text.count("\n") >= LONGEST_FILE) == []
    assert offenders(lambda _, tree: any((node.end_lineno or 0) - node.lineno >= LONGEST_FUNCTION for node in functions(tree))) == []


def unexplained(tree: ast.Module) -> bool:
    """Whether a public class, function or method has no docstring."""
    parents = [tree, *(node for node in tree.body if isinstance(node, ast.ClassDef))]
    members = [node for parent in parents for node in parent.body if isinstance(node, NAMED)]
    return any(not node.name.startswith("_") and not ast.get_docstring(node) for node in members)


def test_public_names_are_explained() -> None:
    assert offenders(lambda _, tree: unexplained(tree)) == []


def test_every_package_is_declared() -> None:
    folders = {path.parent for path in MODULES}
    assert [str(folder) for folder in folders if folder.name != "daemon" and not (folder / "__init__.py").is_file()] == []


def test_scripts_are_executable() -> None:
    scripts = [path for folder in ("scripts", ".ci") for path in (PROJECT / folder).iterdir() if path.is_file()]
    with_shebang = [path for path in scripts if path.read_bytes().startswith(b"#!")]
    assert [path.name for path in with_shebang if not path.stat().st_mode & 0o111] == []


def test_links_between_documents_lead_somewhere() -> None:
    documents = [*PROJECT.glob("*.md"), *(PROJECT / "docs").rglob("*.md")]
    links = [(document, link) for document in documents for link in re.findall(r"\]\((?!https?:)([^)#]+)", document.read_text())]
    assert [f"{document.name}: {link}" for document, link in links if not (document.parent / link).exists()] == []


def test_decision_records_are_numbered_without_gaps() -> None:
    numbers = [int(path.name[:4]) for path in sorted((PROJECT / "docs" / "adr").glob("*.md"))]
    assert all(after == before + 1 for before, after in pairwise([0, *numbers]))
