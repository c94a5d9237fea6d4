"""EL and SLES as far as Debian reaches: the real dnf, zypper and rpm, and small packages."""
import pytest

from tests.lab.lab import Lab
from tests.lab.packages import DISTRIBUTIONS, become, lead_to

PACKAGES = {
    "dnf": {"postgresql": "postgresql-server perl-DBD-Pg",
            "mysql": "mariadb-server perl-DBD-MySQL"},
    "zypper": {"postgresql": "postgresql-server perl-DBD-Pg", "mysql": "mariadb perl-DBD-mysql"},
}
# One step of setup, without the minute that the others take.
INSTALL = """
import sys, xcatha
try:
    print(xcatha.install_database(sys.argv[1]))
except xcatha.HAError as error:
    sys.exit("\\n".join([error.what, error.evidence, error.hint]))
"""
NOWHERE = "http://10.5.106.9:1"
HALF = """
mkdir -p /srv/half
cp /srv/el/postgresql-server-*.rpm /srv/half
createrepo_c -q /srv/half
"""
# Two streams of which neither is the default: which version, that is the administrator's to say.
MODULES = """
cp -r /srv/el /srv/modular
for stream in 15 16; do
    cat <<END
---
document: modulemd
version: 2
data:
  name: postgresql
  stream: "$stream"
  version: 1
  context: context$stream
  arch: noarch
  summary: PostgreSQL
  description: PostgreSQL
  license: {module: [MIT]}
  artifacts: {rpms: ["postgresql-server-0:$stream.9-1.noarch"]}
...
END
done >/srv/modules.yaml
modifyrepo_c --mdtype=modules /srv/modules.yaml /srv/modular/repodata
"""


@pytest.fixture(scope="module")
def fresh():
    with Lab(flavour="rpm") as lab:
        yield lab.host1


@pytest.fixture
def host(fresh):
    """A host on which none of the packages is installed."""
    yield fresh
    names = set(fresh.succeed("rpm", "-qa", "--queryformat", "%{NAME}\n").split()) - {"ground"}
    if names:
        fresh.succeed("rpm", "-e", "--force-debian", *names)


def install(host, engine="postgresql", code=0):
    """What the step says: its outcome, or the three parts of its error."""
    result = host.run("python3", "-c", INSTALL, engine)
    assert result.returncode == code, host.report(result)
    return result.stderr.splitlines() if code else result.stdout.strip()


def follow(host, hint):
    """Type the hint's command, and yes; zypper wants a terminal for that."""
    typed = 'yes | head -n 99 | script -qec "$0" /dev/null'  # script keeps what nobody reads
    host.succeed("sh", "-c", typed, hint.partition(",")[0])


@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
def test_database_packages_are_installed_once(host, distribution):
    manager = become(host, distribution)
    for engine, names in PACKAGES[manager].items():
        assert install(host, engine) == f"installed: {names}"
        host.succeed("rpm", "-q", *names.split())
        assert install(host, engine) == "already installed"


@pytest.mark.parametrize("distribution", [
    pytest.param(name, marks=pytest.mark.long) for name in ("EL 9", "SLES 15")])
def test_repository_that_does_not_answer_is_an_error_whose_remedy_works(host, distribution):
    manager = become(host, distribution)
    lead_to(host, lab=NOWHERE)
    what, evidence, hint = install(host, code=1)
    names = PACKAGES[manager]["postgresql"]
    assert what == "postgresql could not be installed"
    assert f"{manager} install -y {names}: exit " in evidence
    assert hint == f"{manager} install {' '.join(sorted(names.split()))}, then run this again"

    become(host, distribution)
    follow(host, hint)
    assert install(host) == "already installed"


@pytest.mark.parametrize("distribution", ["EL 9", "SLES 15"])
def test_package_that_no_repository_has_is_named(host, distribution):
    become(host, distribution)
    host.succeed("sh", "-ec", HALF)
    lead_to(host, half="file:///srv/half")
    _, evidence, _ = install(host, code=1)
    assert evidence.endswith(("Unable to find a match: perl-DBD-Pg",
                              "No provider of 'perl-DBD-Pg' found."))
    host.fail("rpm", "-q", "postgresql-server")


def test_module_without_a_default_stream_is_named_as_the_reason(host):
    become(host, "EL 8")
    host.succeed("sh", "-ec", MODULES)
    lead_to(host, modular="file:///srv/modular")
    _, evidence, hint = install(host, code=1)
    assert "filtered out by modular filtering for argument: postgresql-server" in evidence

    host.succeed("dnf", "module", "enable", "-y", "postgresql:15")
    follow(host, hint)
    assert install(host) == "already installed"
    host.succeed("dnf", "module", "reset", "-y", "postgresql")


def test_host_without_its_package_manager_gets_the_packages_by_hand(host):
    become(host, "EL 9")
    host.succeed("mv", "/usr/bin/dnf", "/usr/bin/dnf.away")
    what, evidence, hint = install(host, code=1)
    assert (what, evidence) == ("postgresql is not installed", "no known package manager")
    assert hint == "install its server and Perl's DBD::Pg"
    host.succeed("sh", "-c", "cd /srv/el; rpm -i --force-debian postgresql-server-* perl-DBD-Pg-*")
    assert install(host) == "already installed"
    host.succeed("mv", "/usr/bin/dnf.away", "/usr/bin/dnf")


def test_zypper_that_skips_a_repository_has_installed_all_the_same(host):
    """Its exit status is 106 then, and that of dnf, which installs nothing, 1."""
    become(host, "SLES 15")
    lead_to(host, lab="file:///srv/sles", gone=NOWHERE)
    assert install(host) == "installed: " + PACKAGES["zypper"]["postgresql"]
    log = host.run("zypper", "--non-interactive", "install", "postgresql-server")
    assert log.returncode == 106
