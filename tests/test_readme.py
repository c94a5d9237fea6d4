"""The README's tables against the source, so that neither goes ahead of the other."""

import ast
import pathlib
import re

import xcatha

REPOSITORY = pathlib.Path(__file__).parents[1]
SCRIPT = ast.parse((REPOSITORY / "xcatha.py").read_text())
FUNCTIONS = {node.name: node for node in SCRIPT.body if isinstance(node, ast.FunctionDef)}


def table(section):
    """The rows of the first table in a section of the README: (first column, the others)."""
    text = (REPOSITORY / "README.rst").read_text().split(f"\n{section}\n---")[1]
    border, rows = re.search(r"^(=+ =[= ]*\n).+\n\1((?:.+\n)+?)\1", text, re.M).groups()
    width = border.index(" ")
    return [(line[:width].strip(), line[width:].strip()) for line in rows.splitlines()]


# ---- Refusals ----------------------------------------------------------------------------------


def template(node):
    """A message as the source has it, with WORD for what is filled in; "" if it is a variable."""
    if isinstance(node, ast.BinOp):
        return template(node.left) + ("" if isinstance(node.op, ast.Mod) else "WORD")
    return node.value.replace("%s", "WORD") if isinstance(node, ast.Constant) else ""


def is_refusal(call):
    """True for refuse(...) and for an HAError with the exit code of a refusal."""
    name = getattr(call.func, "id", "")
    values = [*call.args, *(keyword.value for keyword in call.keywords)]
    refused = any(getattr(value, "id", "") == "REFUSED" for value in values)
    return name == "refuse" or name == "HAError" and refused


def refusals():
    """Every message with which a run can be refused."""
    calls = [node for node in ast.walk(SCRIPT) if isinstance(node, ast.Call) and is_refusal(node)]
    found = {template(call.args[0]) for call in calls}
    # check_alike passes on what this function says.
    found |= {template(node) for node in ast.walk(FUNCTIONS["unlike"])
              if isinstance(node, ast.Constant) and "differs from" in str(node.value)}
    return found - {""}


def rows():
    """(message, next step) of the README's table; ... stands for one word."""
    return table("When it refuses")


def is_same(shown, message):
    return re.fullmatch(r"\S+".join(map(re.escape, shown.split("..."))), message) is not None


def test_every_refusal_has_a_row():
    assert len(refusals()) > 35
    lacking = [message for message in refusals()
               if not any(is_same(shown, message) for shown, _ in rows())]
    assert lacking == []


def test_every_row_is_of_a_refusal():
    stale = [shown for shown, _ in rows()
             if not any(is_same(shown, message) for message in refusals())]
    assert stale == []


def test_every_row_has_a_next_step():
    assert [shown for shown, step in rows() if not step] == []


# ---- Options and exit codes --------------------------------------------------------------------

INTERNAL = {frozenset([flag]) for flag in ("--hold-lease", "--fence", "--lease-lost")}
OUTCOMES = {"DONE": "done, or already so", "FAILED": "failed;", "USAGE": "usage:",
            "REFUSED": "refused by", "DEGRADED": "done, but", "INCOMPLETE": "stopped part-way"}


def flags_by_row():
    """The flags of each row of the table of options."""
    return {frozenset(re.findall(r"``(-[^`]+)``", cell)) for cell, _ in table("Options")}


def flags_by_option():
    """The flags of each option that the command line has, but of the internal ones."""
    actions = xcatha.build_parser()._actions
    return {frozenset(action.option_strings) for action in actions} - INTERNAL


def constants():
    """{name: exit code} of the constants that the source defines together with DONE."""
    pairs = [list(zip(node.targets[0].elts, node.value.elts)) for node in SCRIPT.body
             if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Tuple)
             and node.targets[0].elts[0].id == "DONE"]
    return {name.id: code.value for name, code in pairs[0]}


def test_every_option_has_a_row_with_all_its_flags():
    assert flags_by_option() - flags_by_row() == set()


def test_every_row_is_of_an_option():
    assert flags_by_row() - flags_by_option() == set()


def test_every_exit_code_has_a_row_that_says_what_it_means():
    meanings = {int(code): meaning for code, meaning in table("Exit codes")}
    assert set(constants()) == set(OUTCOMES)
    assert sorted(meanings) == sorted(constants().values())
    wrong = [name for name, code in constants().items()
             if not meanings[code].startswith(OUTCOMES[name])]
    assert wrong == []
