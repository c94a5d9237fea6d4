"""On real hosts a dry run changes nothing, and announces what the real run then does."""
import pytest

from tests.fakes.announcements import announced, compare, misplaced
from tests.lab import judge
from tests.lab.lab import Lab, frozen
from tests.lab.pair import ACTIVATE, DEACTIVATE, SETUP, VIP, Pair
from tests.lab.starts import EXISTING, existing_in_mysql

LOG = "/var/log/xcatha.log"
# (engine, layout of the distribution): mysqlsetup enables the server on EL and not on Debian.
ENGINES = [("postgresql", "el"), *(pytest.param(site, marks=pytest.mark.long) for site in (
    ("mysql", "debian"), ("sqlite", "el"), ("mysql", "el")))]
SWITCHES = [("sqlite", "postgresql"), *(pytest.param(engines, marks=pytest.mark.long)
                                        for engines in (
    ("sqlite", "mysql"), ("mysql", "postgresql"), ("postgresql", "postgresql"),
    ("sqlite", "sqlite"), ("mysql", "mysql")))]
STAGES = {"first setup": ("host1", SETUP), "second setup": ("host2", SETUP),
          "activate": ("host1", ACTIVATE), "setup again": ("host2", SETUP),
          "activate again": ("host1", ACTIVATE), "deactivate": ("host1", DEACTIVATE),
          "takeover": ("host2", ACTIVATE)}


class Stage:
    """A command as a dry run and then in earnest: what was changed, said and done."""

    def __init__(self, pair, host, command):
        line = pair.line(command, host)
        before, logged = judge.picture(host), self.log_of(host)
        self.said = host.succeed(*line, "--dryrun")
        self.changed = judge.differences(before, judge.picture(host))
        assert self.log_of(host) == logged
        host.succeed(*line)
        self.log = self.log_of(host)[len(logged):]

    @staticmethod
    def log_of(host):
        return host.run("cat", LOG).stdout


@pytest.fixture(scope="module", params=ENGINES, ids="-".join)
def stages(request):
    """Every stage of a pair's life."""
    engine, flavour = request.param
    with Lab(flavour=flavour) as lab:
        pair = Pair(lab, engine)
        yield {name: Stage(pair, getattr(lab, host), command)
               for name, (host, command) in STAGES.items()}


@pytest.mark.parametrize("name", STAGES)
def test_dry_run_changes_nothing(stages, name):
    assert stages[name].changed == {}


@pytest.mark.parametrize("name", STAGES)
def test_real_run_makes_the_changes_that_were_announced(stages, name):
    said, log = stages[name].said, stages[name].log
    assert compare(said, log) == ([], []) and misplaced(said, log) == [], said


@pytest.mark.parametrize("name", ["setup again", "activate again"])
def test_what_is_right_already_is_left_out(stages, name):
    certain, _ = announced(stages[name].said)
    assert not [change for change in certain if change.startswith(("run ", "link ", "rename "))]


# ---- A node that serves already, whose own first address becomes the VIP -----------------------

@pytest.fixture(scope="module", params=SWITCHES, ids="-to-".join)
def existing(request):
    """The setup of such a node, from the engine that it has to the pair's."""
    before, engine = request.param
    start = EXISTING.get(before, existing_in_mysql)
    with frozen(f"existing-{before}", start) as lab:
        yield Stage(Pair(lab, engine), lab.host1, SETUP)


def test_dry_run_on_an_existing_node_changes_nothing(existing):
    assert existing.changed == {}


def test_setup_of_an_existing_node_makes_the_changes_that_were_announced(existing):
    assert f"would run: ip address del {VIP}/8" in existing.said
    assert compare(existing.said, existing.log) == ([], []), existing.said
    assert misplaced(existing.said, existing.log) == [], existing.said
