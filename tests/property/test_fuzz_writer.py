"""A short, seeded sample of the long run over the writers; see fuzz_writer.py."""

from __future__ import annotations

import fuzz_writer
import pytest

# What Python says of answers such as an __int__ that gives a subclass of int.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::BytesWarning")


@pytest.fixture(scope="module")
def twins(request):
    if request.config.getoption("--impl") == "python":
        pytest.skip("compares the two twins")
    return fuzz_writer.both()


@pytest.mark.parametrize("first", range(1, 61, 10))
def test_writers(twins, first):
    fuzz = fuzz_writer.Fuzz(twins)
    for seed in range(first, first + 10):
        fuzz.batch(seed)
    assert fuzz.objects == 10 * fuzz_writer.BATCH
    # Neither all refused nor all let through.
    assert fuzz.objects // 10 < fuzz.refused < fuzz.objects * 6 // 10
    assert fuzz.contrived > 50
    assert fuzz.read > 200


def test_a_difference_is_seen(twins, monkeypatch):
    (compiled, pure) = twins
    wrong = lambda self, value, put, depth: put(b"\xc0")  # noqa: E731
    monkeypatch.setitem(pure[0]._WRITERS, id(fuzz_writer.Date), wrong)
    with pytest.raises(AssertionError, match=r"^\("):
        for seed in range(1, 20):
            fuzz_writer.Fuzz([compiled, pure]).batch(seed)


def test_a_batch_is_what_its_number_says(twins):
    makers = [fuzz_writer.Maker(7) for _ in range(2)]
    values = [[maker.value() for _ in range(200)] for maker in makers]
    packed = [[fuzz_writer._packed(twins[1][0].pack, value) for value in each] for each in values]
    assert fuzz_writer._same(*packed)
