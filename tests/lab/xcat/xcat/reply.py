"""What a command answers: lines on the caller's stdout and stderr, and an exit code."""
import argparse


class CommandError(Exception):
    """A command cannot be carried out; the text is for the caller."""


class NoderangeError(CommandError):
    """Names that are no nodes; the daemon refuses the request, a command past it finds nothing."""


class Reply:
    """Hands on each line as `send(stream, text)` and keeps the exit code.

    `daemon` is the host name of the daemon that answers, which its errors bear.
    """

    def __init__(self, send, daemon=""):
        self.send, self.daemon = send, daemon
        self.status = 0

    def say(self, text):
        self.send("stdout", text)

    def warn(self, text):
        self.send("stderr", f"Warning: {text}")

    def error(self, text):
        self.refuse(f"[{self.daemon}]: {text}" if self.daemon else text)

    def refuse(self, text):
        """An error of the daemon itself, which bears no name."""
        self.send("stderr", f"Error: {text}")
        self.status = 1

    def unknown_nodes(self, names):
        if self.daemon:
            self.refuse(f"Invalid nodes and/or groups in noderange: {names}")
        else:
            self.say(f"Invalid nodes in noderange:{names}")


class Options(argparse.ArgumentParser):
    """An option parser that answers instead of ending the daemon."""

    def __init__(self, name):
        super().__init__(prog=name, add_help=False, allow_abbrev=False)

    def error(self, message):
        raise CommandError(f"{self.prog}: {message}")
