"""The README's tables against the source, so that neither goes ahead of the other."""

import ast
import pathlib
import re

import xcatha

REPOSITORY = pathlib.Path(__file__).parents[1]
SCRIPT = ast.parse((REPOSITORY / "xcatha.py").read_text())


def table(section):
    """The rows of the first table in a section of the README: (first column, the others)."""
    text = (REPOSITORY / "README.rst").read_text().split(f"\n{section}\n---")[1]
    border, rows = re.search(r"^(=+ =[= ]*\n).+\n\1((?:.+\n)+?)\1", text, re.M).groups()
    width = border.index(" ")
    return [(line[:width].strip(), line[width:].strip()) for line in rows.splitlines()]


# ---- Options and exit codes --------------------------------------------------------------------

OUTCOMES = {"DONE": "done, or already so", "FAILED": "failed;", "USAGE": "usage:",
            "REFUSED": "refused by", "DEGRADED": "done, but", "INCOMPLETE": "stopped part-way"}


def constants():
    """{name: exit code} of the constants that the source defines together with DONE."""
    pairs = [list(zip(node.targets[0].elts, node.value.elts)) for node in SCRIPT.body
             if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Tuple)
             and node.targets[0].elts[0].id == "DONE"]
    return {name.id: code.value for name, code in pairs[0]}


def test_readme_names_no_option_that_the_help_does_not_have():
    known = re.findall(r"(?<![\w-])--?[a-z-]+", xcatha.build_parser().format_help())
    others = {"-ay", "-b"}  # vgchange's, journalctl's
    named = set(re.findall(r"``(--?[a-z-]+)", (REPOSITORY / "README.rst").read_text())) - others
    assert len(named) > 10
    assert named - set(known) == set()


def test_every_exit_code_has_a_row_that_says_what_it_means():
    meanings = {int(code): meaning for code, meaning in table("Exit codes")}
    assert set(constants()) == set(OUTCOMES)
    assert sorted(meanings) == sorted(constants().values())
    wrong = [name for name, code in constants().items()
             if not meanings[code].startswith(OUTCOMES[name])]
    assert wrong == []


def test_map_of_promises_names_every_module_of_tests_and_no_other():
    """tests/README.rst says which test shows which promise; none is missing there."""
    text = (REPOSITORY / "tests/README.rst").read_text()
    chapter = text.split("Which test shows which promise\n---")[1].split("\n---")[0]
    named = set(re.findall(r"(?:\w+/)?test_\w+", chapter))
    present = {path.relative_to(REPOSITORY / "tests").with_suffix("").as_posix()
               for path in (REPOSITORY / "tests").rglob("test_*.py")}
    of_the_tests = {"fakes/test_harness", "lab/test_judge", "lab/test_lab", "unit/test_levels",
                    "test_shortened", "test_watcher", "bench/test_bench", "test_rules",
                    "test_bandit"}
    assert named - present == set()
    assert present - named == of_the_tests
