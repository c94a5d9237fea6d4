#!/bin/sh
# Run the tests as root: installs what they need, then hands its arguments to pytest.
# Without arguments all but the long ones and the virtual machines run, three files at a time: most
# tests wait most of the time.
set -eu
cd "$(dirname "$0")/.."
case " $* " in *" -m vm "*) more_packages=tests/vm/packages.txt ;; esac
. tests/bootstrap.sh
[ $# -gt 0 ] || set -- --numprocesses 3 --dist loadfile
exec "$venv/bin/python" -m pytest "$@"
