"""EL and SLES as far as Debian reaches: the real dnf, zypper and rpm, and small packages."""
import pytest

from tests.lab.lab import Lab, frozen
from tests.lab.pair import DEACTIVATE, VIP, Pair, xcat

# Of os-release(5) what tells distributions apart, and the repository that is the distribution's.
DISTRIBUTIONS = {
    "EL 8": ("el", 'ID="rocky"\nID_LIKE="rhel centos fedora"\nVERSION_ID="8.10"\n'),
    "EL 9": ("el", 'ID="almalinux"\nID_LIKE="rhel centos fedora"\nVERSION_ID="9.4"\n'),
    "EL 10": ("el", 'ID="rhel"\nID_LIKE="centos fedora"\nVERSION_ID="10.0"\n'),
    "SLES 15": ("sles", 'ID="sles"\nID_LIKE="suse"\nVERSION_ID="15.6"\n'),
}
# As EL ships it.
DNF_CONF = "[main]\ngpgcheck=1\nbest=True\nskip_if_unavailable=False\n"
GO_XCAT = "#!/bin/sh\nexec {} install -y xCAT xCAT-server\n"
NOWHERE = "http://10.5.106.9:1"


def become(host, distribution):
    """The host says that it is of this distribution, and has its repository; its manager."""
    repository, text = DISTRIBUTIONS[distribution]
    manager = "zypper" if repository == "sles" else "dnf"
    release = host.root / "etc/os-release"
    release.unlink()
    release.write_text(text)
    (host.root / "etc/dnf/dnf.conf").write_text(DNF_CONF)
    for place in ("etc/yum.repos.d", "etc/zypp/repos.d"):
        (host.root / place).mkdir(parents=True, exist_ok=True)
    lead_to(host, lab=f"file:///srv/{repository}")
    go_xcat = host.root / "root/go-xcat"
    go_xcat.write_text(GO_XCAT.format(manager))
    return manager


def lead_to(host, **repositories):
    """These are the host's repositories: name=URL."""
    text = "".join(f"[{name}]\nname={name}\nbaseurl={url}\nenabled=1\ngpgcheck=0\n"
                   for name, url in repositories.items())
    for place in ("etc/yum.repos.d", "etc/zypp/repos.d"):
        (host.root / place / "lab.repo").write_text(text)
