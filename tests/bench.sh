#!/bin/sh
# Measure how long things take, as root, on an otherwise idle machine; about half an hour.
set -eu
cd "$(dirname "$0")/.."
requirements=tests/bench/requirements.txt
. tests/bootstrap.sh
exec "$venv/bin/python" -m tests.bench "$@"
