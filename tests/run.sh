#!/bin/sh
# Run the tests as root: installs what they need, then hands its arguments to pytest.
# Without arguments all but the long ones run, two files at a time: most tests wait most of the time.
set -eu
cd "$(dirname "$0")/.."
. tests/bootstrap.sh
[ $# -gt 0 ] || set -- --numprocesses 2 --dist loadfile
exec "$venv/bin/python" -m pytest "$@"
