"""Memory is flat in the number of nuclei (reference R-11; DESIGN, decision 5)."""

from tests.benchmarks.measure import in_process
from tests.benchmarks.scaling import crowd, large_slide


def test_r11_five_million_nuclei_take_hardly_more_memory_than_a_hundred_thousand() -> None:
    few, many = (in_process(crowd, n) for n in (100_000, 5_000_000))
    assert many["nuclei"] == 5_000_000
    assert float(many["peak_mb"]) <= 1.2 * float(few["peak_mb"])


def test_a_slide_sixteen_times_as_large_takes_little_more_memory() -> None:
    small, large = (in_process(large_slide, side) for side in (10_240, 40_960))
    assert large["nuclei"] == 16 * float(small["nuclei"])
    assert float(large["peak_mb"]) <= 1.6 * float(small["peak_mb"])
