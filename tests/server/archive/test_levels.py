"""Which instances of a slide are fetched for an assay."""

from dataclasses import replace
from pathlib import Path

import pytest

from inference.model import Resolution
from server.archive.levels import needed, unread
from server.slides.dicom_header import WHOLE_SLIDE_IMAGE, InstanceHeader

NUCLEAR = Resolution(working=0.5, finest=0.4, coarsest=0.6)


def image(uid: str, mpp: float, *, flavour: str = "VOLUME", width_um: float = 20_000) -> InstanceHeader:
    return InstanceHeader(
        path=Path(uid),
        sop_class_uid=WHOLE_SLIDE_IMAGE,
        sop_instance_uid=uid,
        series_uid="1",
        study_uid="9",
        container_id="TEST-C1",
        flavour=flavour,
        size=(round(width_um / mpp), round(width_um / 2 / mpp)),
        spacing_um=(mpp, mpp),
    )


def pyramid(*mpps: float) -> list[InstanceHeader]:
    return [image(f"{mpp:g}", mpp) for mpp in mpps]


LABEL, OVERVIEW = image("label", 20, flavour="LABEL"), image("overview", 20, flavour="OVERVIEW")


@pytest.mark.parametrize(
    ("there", "wanted"),
    [
        (pyramid(0.5, 1, 2, 4, 8, 16), "0.5 8"),
        (pyramid(0.25, 0.5, 1, 2, 4, 8, 16), "0.25 0.5 8"),  # coordinates are of the largest
        (pyramid(0.25, 1, 4, 16), "0.25 4"),
        (pyramid(0.4, 1.6, 6.4), "0.4 6.4"),
        (pyramid(1, 2, 16), "1 2"),
        (pyramid(0.5), "0.5"),
        ([*pyramid(0.5, 1, 2, 8), LABEL, OVERVIEW], "0.5 8"),
        ([*pyramid(0.5, 1, 8), image("another region", 1, width_um=5000)], "0.5 8 another region"),
        ([*pyramid(0.5, 1, 8), image("another plane", 1)], "0.5 1 8 another plane"),
        ([*pyramid(0.5, 1, 8), replace(image("says nothing", 2), spacing_um=None)], "0.5 1 8 says nothing"),
        ([*pyramid(0.5, 1, 8), replace(image("part", 2), concatenation_uid="7")], "0.5 1 8 part"),
    ],
)
def test_the_largest_the_one_read_and_the_overview_s(there: list[InstanceHeader], wanted: str) -> None:
    assert " ".join(h.sop_instance_uid for h in needed(there, NUCLEAR)) == wanted


@pytest.mark.parametrize(
    ("there", "header"),
    [
        (pyramid(0.25, 0.5, 1, 8), ["0.25"]),
        (pyramid(0.25, 0.50000002, 1, 8), ["0.25"]),  # as it is written in a file
        (pyramid(0.25, 0.58, 8), []),  # halved, the base is nearer
        (pyramid(0.25, 1, 8), []),
        (pyramid(0.5, 1, 8), []),
        (pyramid(0.25), []),
        ([*pyramid(0.25, 0.5, 8), LABEL, OVERVIEW], ["0.25"]),
        ([*pyramid(0.25, 0.5, 8), image("another region", 0.25, width_um=5000)], []),
        ([*pyramid(0.25, 0.5, 8), image("another plane", 0.25)], []),
        ([*pyramid(0.25, 0.5, 8), replace(image("says nothing", 2), spacing_um=None)], []),
    ],
)
def test_of_the_largest_the_header_is_enough_where_a_coarser_one_is_read(
    there: list[InstanceHeader], header: list[str]
) -> None:
    assert sorted(unread(there, NUCLEAR)) == header
    assert unread(there, None) == frozenset()


def test_without_a_resolution_all_levels_and_no_label() -> None:
    assert [h.sop_instance_uid for h in needed([*pyramid(0.5, 1), LABEL], None)] == ["0.5", "1"]
