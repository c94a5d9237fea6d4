"""python -m tests.bench [OPTIONS] [PART...]: measure, keep the raw data, print the table.

Parts: failover, side-by-side, copying, scale; all of them by default.
"""
import argparse
import datetime
import json
import os
import pathlib

from tests.bench import copying, failover, pictures, scale, side_by_side, table
from tests.pythons import CACHE

HERE = pathlib.Path(__file__).parent
PARTS = ("failover", "side by side", "copying", "scale")


def options():
    """The command line."""
    parser = argparse.ArgumentParser(prog="sh tests/bench.sh", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help="what to measure")
    parser.add_argument("--rounds", type=int, default=5, help="failovers of each kind, copies")
    parser.add_argument("--size", type=float, default=1, help="of trees and sites; 1 is the goal's")
    parser.add_argument("--record", action="store_true", help="for the README: keep in tests/bench")
    return parser.parse_args()


def measure(part, rounds, size):
    """The raw data of a part."""
    if part == "failover":
        return failover.measure(rounds)
    if part == "copying":
        return copying.measure(size, rounds)
    return scale.measure(size) if part == "scale" else side_by_side.measure()


def keep(record, folder):
    """Write the raw data and the pictures of what was measured."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "record.json").write_text(json.dumps(record, indent=1) + "\n")
    if "failover" in record:
        pictures.failover(record["failover"]["transitions"], folder / "failover.svg")
    if "copying" in record:
        pictures.downtime(record["copying"]["downtime"], folder / "downtime.svg")


def earlier(folder):
    """The record that the folder has already; parts that are not measured anew are kept."""
    kept = folder / "record.json"
    return json.loads(kept.read_text()) if kept.exists() else {}


def main():
    """Measure; the data are kept after each part."""
    opts = options()
    wanted = [word.replace("-", " ") for word in opts.parts] or PARTS
    began = datetime.datetime.now(datetime.timezone.utc)
    folder = HERE if opts.record else CACHE / "bench" / began.strftime("%Y%m%d-%H%M%S")
    record = {**earlier(folder), "date": f"{began:%Y-%m-%d}", "cpus": os.cpu_count(),
              "real time": os.sched_getscheduler(0) != os.SCHED_OTHER,
              "load before": os.getloadavg()[0]}
    for part in wanted:
        print(f"measuring: {part} ...", flush=True)
        record[part] = measure(part, opts.rounds, opts.size)
        record["load after"] = os.getloadavg()[0]
        keep(record, folder)
    print(f"\n{table.circumstances(record)}\n\n{table.text(record)}\n\nraw data: {folder}")


if __name__ == "__main__":
    main()
