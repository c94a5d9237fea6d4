"""What every command prints, to the letter; `python -m tests.fakes.transcripts` writes it anew."""

import pytest

from tests.fakes.transcripts import DATA, normalised, transcripts

GOLDEN = sorted(file.name for file in DATA.glob("*.txt"))


@pytest.fixture(scope="module")
def printed():
    return transcripts()


@pytest.mark.timeout(600)
def test_every_transcript_is_kept(printed):
    assert sorted(printed) == GOLDEN


@pytest.mark.parametrize("name", GOLDEN)
def test_output_is_as_kept(printed, name):
    assert printed[name] == (DATA / name).read_text()


def test_only_times_are_normalised():
    text = "Lease      held    12.3 s\nactive since 2026-01-31T23:59:59+00:00 (unplanned, 41 s)\n"
    assert normalised(text) == "Lease      held   #.# s\nactive since TIME (unplanned, # s)\n"
