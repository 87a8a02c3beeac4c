"""What reading an HL7 message of 16 MB costs: as one long field, and as hundreds of thousands of segments.

    python -m tests.benchmarks.messages

One JSON line: seconds of the processor for each, the least of three (aim: 1, INTEROP.md I-3).
"""

import time

from server.demo.lis import order_message
from server.hl7.oml import parse_order
from tests.benchmarks.measure import report

BYTES = 16 * 1024 * 1024


def main() -> None:
    """Measure, print."""
    order = order_message(placer_number="P", marker="ER", control_id="M", container_id="C")
    left = BYTES - len(order)
    segment = b"OBX|1|ST|X^Y^L||hello world||||||F\r"
    report(
        "messages",
        one_field_cpu_s=cpu_s(order + b"OBX|1|ED|X^Y^L||" + b"A" * (left - 16)),
        many_segments_cpu_s=cpu_s(order + segment * (left // len(segment))),
    )


def cpu_s(message: bytes) -> float:
    return round(min(_once(message) for _ in range(3)), 3)


def _once(message: bytes) -> float:
    began = time.process_time()
    parse_order(message)
    return time.process_time() - began


if __name__ == "__main__":
    main()
