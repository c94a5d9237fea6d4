"""The command lines that must work as written; --go-xcat because a node on fakes is air-gapped."""

SETUP = (
    "-s -p /HA -v 10.5.106.50 -i eth0:0 -n hamn -m 255.0.0.0 -t postgresql --go-xcat /root/go-xcat"
).split()
ACTIVATE = "-a -p /HA -v 10.5.106.50 -i eth0:0 -m 255.0.0.0 -t postgresql".split()
ACTIVATE_OLDER_FORM = "-a -p /HA -v 10.5.106.50 -i eth0:0 -n hamn".split()
DEACTIVATE = "-d -v 10.5.106.50 -i eth0:0".split()
