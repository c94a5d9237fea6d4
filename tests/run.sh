#!/bin/sh
# Run the tests as root: installs what they need, then hands its arguments to pytest.
set -eu
cd "$(dirname "$0")/.."
. tests/bootstrap.sh
exec "$venv/bin/python" -m pytest "$@"
