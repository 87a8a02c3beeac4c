"""Memory is flat in the number of nuclei (reference R-11; DESIGN, decision 5)."""

from tests.benchmarks.measure import in_process
from tests.benchmarks.scaling import crowd


def test_r11_five_million_nuclei_take_hardly_more_memory_than_a_hundred_thousand() -> None:
    few, many = (in_process(crowd, n) for n in (100_000, 5_000_000))
    assert many["nuclei"] == 5_000_000
    assert float(many["peak_mb"]) <= 1.2 * float(few["peak_mb"])
