"""The house rules: what keeps xcatha.py small enough to be read before it is run as root."""

import ast
import hashlib
import pathlib
import re
import subprocess
import sys

import pytest

REPOSITORY = pathlib.Path(__file__).parents[1]
SCRIPT = REPOSITORY / "xcatha.py"
COMMAND_SECTION = "Running commands, and what a dry run leaves out"
CEILING = 5166  # lines of xcatha.py; each change lowers it
SECTION = re.compile(r"^# -{2,} (.+?) -{2,}$")
EPL_1_0 = "ed8d7a24769ac9d57d08769b5f8be27519dd8811d06b0995dbe8ca6714e96d08"
SHELLS = {"system", "popen", "getoutput", "getstatusoutput"}


@pytest.fixture(scope="module")
def lines():
    return SCRIPT.read_text().splitlines()


@pytest.fixture(scope="module")
def tree(lines):
    return ast.parse("\n".join(lines))


@pytest.fixture(scope="module")
def functions(tree):
    return [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]


def run(*command):
    """Run a tool of this interpreter's on the repository; its output, failing if it complains."""
    done = subprocess.run(
        [sys.executable, *command],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def tracked_files():
    listing = subprocess.check_output(["git", "ls-files", "-z"], cwd=REPOSITORY, text=True)
    return [pathlib.PurePath(name) for name in listing.split("\0") if name]


def length(function):
    """The lines of a function, from its def to its end, less the docstring."""
    docstring = ast.get_docstring(function, clean=False)
    return (
        function.end_lineno
        - function.lineno
        + 1
        - (len(docstring.splitlines()) if docstring else 0)
    )


def is_parser(function):
    """The one function that style allows to be long: it builds the argument parser."""
    return "parser" in function.name


def name_of(node):
    """A dotted name as written, such as os.path, or an empty string."""
    if isinstance(node, ast.Attribute):
        return name_of(node.value) + "." + node.attr
    return node.id if isinstance(node, ast.Name) else ""


def calls(tree):
    return [node for node in ast.walk(tree) if isinstance(node, ast.Call)]


def section_of(lines, number):
    """The title of the section that a line (from 1) stands in."""
    titles = [match[1] for match in map(SECTION.match, lines[:number]) if match]
    return titles[-1] if titles else None


def test_python_3_6_is_enough():
    files = [str(SCRIPT), "tests/conftest.py", "tests/pythons.py", "tests/unit"]
    run("-c", "import vermin; vermin.main()", "--target=3.6-", "--no-parse-comments", *files)


def test_ruff_finds_nothing():
    run("-m", "ruff", "check", "--no-cache")


def test_lines_are_at_most_100_columns(lines):
    assert [number for number, line in enumerate(lines, 1) if len(line) > 100] == []


def test_file_grows_no_longer(lines):
    assert len(lines) <= CEILING


def test_no_function_is_longer_than_100_lines_but_the_parser(functions):
    assert [f.name for f in functions if length(f) > 100 and not is_parser(f)] == []


def test_every_function_says_what_it_promises(functions):
    silent = [f.name for f in functions if not ast.get_docstring(f) and not f.name.startswith("_")]
    assert silent == []


def test_there_is_no_global_statement(tree):
    assert not any(isinstance(node, (ast.Global, ast.Nonlocal)) for node in ast.walk(tree))


def test_no_command_goes_through_a_shell(tree):
    for call in calls(tree):
        assert not any(word.arg == "shell" for word in call.keywords), call.lineno
        assert name_of(call.func).rpartition(".")[2] not in SHELLS, call.lineno


def test_subprocess_is_used_in_its_section_alone(tree, lines):
    used = [n.lineno for n in ast.walk(tree) if name_of(n).startswith("subprocess.")]
    assert used
    assert {section_of(lines, number) for number in used} == {COMMAND_SECTION}


def test_handler_that_catches_whatever_comes_keeps_the_traceback(tree):
    broad = [
        handler
        for handler in ast.walk(tree)
        if isinstance(handler, ast.ExceptHandler)
        and (handler.type is None or name_of(handler.type) in ("Exception", "BaseException"))
    ]
    logging = [name_of(h.body[0].value.func) for h in broad if isinstance(h.body[0], ast.Expr)]
    assert logging == ["log.exception"] * len(broad)


def test_every_function_stands_in_a_titled_section(functions, lines):
    assert [f.name for f in functions if section_of(lines, f.lineno) is None] == []


def sentences(tree):
    """{the longest fixed part of what a refusal or an error says first: the line it stands in}."""
    said = [c.args[0] for c in calls(tree) if name_of(c.func) in ("refuse", "HAError")]
    # A check yields what it says, its evidence and what to do next.
    yielded = [node.value for node in ast.walk(tree) if isinstance(node, ast.Yield)]
    said += [v.elts[0] for v in yielded if isinstance(v, ast.Tuple) and len(v.elts) == 3]
    found = {}
    for first in said:
        if not isinstance(first, (ast.Name, ast.Starred)):
            texts = [n.value for n in ast.walk(first) if isinstance(n, ast.Constant)]
            parts = [part for text in texts for part in re.split("%[sd]", str(text))]
            found[max(parts, key=len).strip()] = first.lineno
    return found


def test_every_refusal_and_every_error_is_met_by_a_test(tree):
    joint = re.compile(r'"\s+f?"')  # of a sentence that goes on in the next line
    tests = "".join(joint.sub("", path.read_text()) for path in sorted(
        REPOSITORY.glob("tests/*/*.py")))
    assert len(sentences(tree)) > 50
    assert {part: line for part, line in sentences(tree).items() if part not in tests} == {}


def test_nothing_is_put_under_tmp(tree):
    literals = [node for node in ast.walk(tree) if isinstance(node, ast.Constant)]
    assert [n.lineno for n in literals if str(n.value).startswith("/tmp")] == []


def test_script_is_executable_python_3(lines):
    assert lines[0] == "#!/usr/bin/env python3"
    assert SCRIPT.stat().st_mode & 0o111 == 0o111


def test_top_level_holds_what_was_agreed_and_nothing_else():
    top = {file.parts[0] for file in tracked_files()}
    agreed = {"xcatha.py", "tests", "README.rst", "setup.cfg", "LICENSE"}
    assert {name for name in top if not name.startswith(".")} == agreed


def test_licence_is_the_eclipse_public_licence_1_0():
    assert hashlib.sha256((REPOSITORY / "LICENSE").read_bytes()).hexdigest() == EPL_1_0


def test_continuous_integration_runs_the_test_command_of_the_readme():
    command = "sh tests/run.sh"
    assert f"    {command}\n" in (REPOSITORY / "README.rst").read_text()
    assert (REPOSITORY / ".ci/run").read_text().endswith(f"exec {command}\n")
