"""python -m tests.lab [STATE]: boot a lab and give a shell on host1; it is gone after exit."""
import subprocess
import sys

from tests.lab.lab import Lab

with Lab(*sys.argv[1:]) as lab:
    for machine in (*lab.hosts, lab.client):
        print(f"{machine.name}: {' '.join(machine.entry())} bash")
    subprocess.run([*lab.host1.entry(), "bash", "-l"])
