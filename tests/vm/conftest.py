"""Fixtures of the level of virtual machines."""
import contextlib
import os

import pytest

from tests.vm.rack import Rack

# Processors are emulated: eight to ten times slower, and more on a busy machine.
LIMIT = pytest.mark.timeout(3600)


def pytest_itemcollected(item):
    if not item.get_closest_marker("timeout"):
        item.add_marker(LIMIT)


@pytest.hookimpl(trylast=True)
def pytest_generate_tests(metafunc):
    """Run those tests that ask for it XCATHA_REPEAT times, on the same machines."""
    if "repetition" in metafunc.fixturenames:
        metafunc.parametrize("repetition", range(1, int(os.environ.get("XCATHA_REPEAT", "1")) + 1))


@pytest.fixture(scope="module")
def racks():
    """The rack in the state asked for, as long as tests of the module ask for the same."""
    with contextlib.ExitStack() as stack:
        current = {}

        def get(state="active", **options):
            wanted = (state, sorted(options.items()))
            if current.get("is") != wanted:
                stack.close()
                current.update({"is": wanted, "rack": stack.enter_context(Rack(state, **options))})
            return current["rack"]

        yield get


@pytest.fixture
def new_rack():
    """A rack that no test has used before."""
    with contextlib.ExitStack() as stack:
        yield lambda *args, **options: stack.enter_context(Rack(*args, **options))
