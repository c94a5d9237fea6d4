"""What a command answers: lines on the caller's stdout and stderr, and an exit code."""
import argparse


class CommandError(Exception):
    """A command cannot be carried out; the text is for the caller."""


class Reply:
    """Hands on each line as `send(stream, text)` and keeps the exit code."""

    def __init__(self, send):
        self.send = send
        self.status = 0

    def say(self, text):
        self.send("stdout", text)

    def warn(self, text):
        self.send("stderr", f"Warning: {text}")

    def error(self, text):
        self.send("stderr", f"Error: {text}")
        self.status = 1


class Options(argparse.ArgumentParser):
    """An option parser that answers instead of ending the daemon."""

    def __init__(self, name):
        super().__init__(prog=name, add_help=False, allow_abbrev=False)

    def error(self, message):
        raise CommandError(f"{self.prog}: {message}")
