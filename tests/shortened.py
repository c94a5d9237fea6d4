"""A copy of the script in which only time limits differ, for tests that would wait for minutes."""
import pathlib
import re

SCRIPT = pathlib.Path(__file__).parents[1] / "xcatha.py"
HEADING = "# Time limits, in seconds.\n"


def time_limits(text):
    """The paragraph of the script that sets its time limits: (its start, its end)."""
    start = text.index(HEADING) + len(HEADING)
    return start, text.index("\n\n", start)


def shortened(**limits):
    """The script's text with other values for some of its time limits."""
    text = SCRIPT.read_text()
    start, end = time_limits(text)
    paragraph = text[start:end]
    for name, seconds in limits.items():
        paragraph, count = re.subn(rf"(?m)^{name} = .*$", f"{name} = {seconds}", paragraph)
        assert count == 1, f"xcatha.py has no time limit {name}"
    return text[:start] + paragraph + text[end:]
