"""dumpxCATdb and restorexCATdb: every table as a file of comma-separated values."""
import pathlib

from xcat import command
from xcat.schema import TABLES


def directory(name, args):
    """What follows -p, or None after the usage."""
    if args[:1] == ["-p"] and len(args) == 2:
        return pathlib.Path(args[1])
    print(f"Usage: {name} -p <path>")
    return None


def dump(args):
    """Write every table to DIR/TABLE.csv."""
    place = directory("dumpxCATdb", args)
    if place is None:
        return 1
    if not place.exists():
        print(f" Creating {place} for database dump", flush=True)
        place.mkdir(parents=True)
    for table in TABLES:
        lines = []
        status = command.request("tabdump", [table], collector(lines))
        if status:
            return status
        (place / f"{table}.csv").write_text("\n".join(lines) + "\n")
    print("Backup Complete.")
    return 0


def collector(lines):
    """A receiver that keeps stdout and shows the rest."""
    def send(stream, text):
        if stream == "stdout":
            lines.append(text)
        else:
            command.show(stream, text)
    return send


def restore(args):
    """Let every table hold what DIR/TABLE.csv says; 0 also where some could not."""
    place = directory("restorexCATdb", args)
    if place is None:
        return 1
    files = [place / f"{table}.csv" for table in TABLES]
    for file in files:
        if file.exists() and command.request("tabrestore", [str(file)], command.show):
            print(f"Error running tabrestore -a {file}")
    print("Restore of Database Complete.")
    return 0
