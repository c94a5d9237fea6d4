"""The README's tables against the source, so that neither goes ahead of the other."""

import ast
import pathlib
import re

REPOSITORY = pathlib.Path(__file__).parents[1]
SCRIPT = ast.parse((REPOSITORY / "xcatha.py").read_text())
FUNCTIONS = {node.name: node for node in SCRIPT.body if isinstance(node, ast.FunctionDef)}


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
    readme = (REPOSITORY / "README.rst").read_text()
    table = readme.split("the message says")[1].split("\n\n")[0].splitlines()[1:]
    width = table[0].index(" ")
    return [(line[:width].strip(), line[width:].strip()) for line in table[1:-1]]


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
