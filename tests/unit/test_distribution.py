"""Which distribution this is, its package manager, and what its systemd understands."""

import re

import pytest

import xcatha

RELEASES = {
    "debian": ("ID=debian\nVERSION_ID=\"12\"\n", "debian 12", "apt-get"),
    "ubuntu": ("VERSION_ID=\"24.04\"\nID=ubuntu\nID_LIKE=debian\n", "ubuntu 24.04", "apt-get"),
    "mint": ("ID=linuxmint\nID_LIKE=\"ubuntu debian\"\nVERSION_ID=\"22\"\n",
             "linuxmint 22", "apt-get"),
    "rocky": ("ID=\"rocky\"\nID_LIKE=\"rhel centos fedora\"\nVERSION_ID=\"8.10\"\n",
              "rocky 8.10", "dnf"),
    "rhel": ("ID='rhel'\nID_LIKE='fedora'\nVERSION_ID='9.4'\n", "rhel 9.4", "dnf"),
    "sles": ("ID=\"sles\"\nID_LIKE=\"suse\"\nVERSION_ID=\"15.6\"\n", "sles 15.6", "zypper"),
    "leap": ("ID=\"opensuse-leap\"\nID_LIKE=\"suse opensuse\"\nVERSION_ID=\"15.6\"\n",
             "opensuse-leap 15.6", "zypper"),
    "unknown": ("NAME=Own\n# ID=debian\nHOME_URL=\"https://debian.example\"\n", "? ?", "dnf"),
}


@pytest.fixture(params=sorted(RELEASES))
def release(request, monkeypatch):
    text, version, manager = RELEASES[request.param]
    monkeypatch.setattr(xcatha, "read_text", lambda path: text)
    return version, manager


def test_package_manager_is_the_distributions_though_all_three_are_there(release, monkeypatch):
    version, manager = release
    monkeypatch.setattr(xcatha, "have", lambda name: True)
    assert xcatha.os_version() == version
    assert xcatha.package_manager() == manager
    assert xcatha.is_debian() == (manager == "apt-get")


def test_another_distributions_package_manager_is_none(release, monkeypatch):
    monkeypatch.setattr(xcatha, "have", lambda name: name != release[1])
    assert xcatha.package_manager() is None


# The release of systemd that brought each key of a unit, by its NEWS; 201 is that or an older one.
BROUGHT = {
    "After": 201, "BindsTo": 201, "Description": 201, "ExecStart": 201, "ExecStopPost": 201,
    "FileDescriptorStoreMax": 219, "Nice": 201, "OOMScoreAdjust": 201, "RequiresMountsFor": 201,
    "Restart": 201, "StartLimitIntervalSec": 230, "TimeoutStartSec": 201, "TimeoutStopSec": 201,
    "Type": 201, "WatchdogSec": 201, "WatchdogSignal": 240,
    # Not used; they come to mind for such units, and EL 8 ignores them.
    "ExitType": 250, "FileDescriptorStorePreserve": 254, "FinalKillSignal": 240, "OOMPolicy": 243,
    "RestartKillSignal": 244, "TimeoutAbortSec": 243,
}
EL_8 = 239
# EL 8's own source (src/core/load-fragment-gperf.gperf.m4) knows all of the above but this one.
# Without it the watchdog sends SIGABRT, which ends a program that has no handler for it, but not
# one that is stopped or waits for a share: tests/lab/test_lease.py shows what holds there.
IGNORED_ON_EL_8 = {"WatchdogSignal"}


def test_units_use_only_keys_that_the_oldest_systemd_understands():
    with open(xcatha.__file__) as script:
        keys = set(re.findall(r"(?:^|[\"']|\\n)([A-Z][A-Za-z]*[a-z])=", script.read(), re.M))
    assert {"BindsTo", "RequiresMountsFor", "ExecStopPost", "WatchdogSec"} <= keys
    assert {key for key in keys if BROUGHT.get(key, EL_8 + 1) > EL_8} == IGNORED_ON_EL_8
