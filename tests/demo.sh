#!/bin/sh
# Show the main job on two lab hosts, as root: set-up, activation, both kinds of failover.
set -eu
cd "$(dirname "$0")/.."
. tests/bootstrap.sh
exec "$venv/bin/python" -m tests.lab.demo
