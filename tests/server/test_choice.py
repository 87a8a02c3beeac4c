"""Which profile an order is scored by: the most specific active one that is valid, or a refusal."""

from dataclasses import replace
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import Dataset

from inference.assay import assay_of
from inference.grade import HueValueThresholds
from server.domain.choice import Against, Alternative, Chosen, Preparation, choose, explained
from server.domain.errors import Refused, ServiceReason
from server.domain.order import Specimen
from server.domain.profile import ANY, Expired, Profile, ProfileKey, ProfileRules
from server.report.choice_json import choice_in, choice_json
from server.report.preparation import preparation_of

ER = assay_of("ER")
TODAY = date(2026, 6, 1)


def profile(name: str, revision: int = 1, **key: str) -> Profile:
    thresholds = HueValueThresholds(hue=130, left=60, right=105)
    whole = {"lab": "LAB", "marker": "ER"} | key
    return Profile(name=name, revision=revision, key=ProfileKey(**whole), criteria=thresholds)


def chosen(*profiles: Profile, rules: ProfileRules | None = None, **slide: str) -> Chosen:
    found = choose(profiles, ER, lab="LAB", today=TODAY, rules=rules, preparation=Preparation(**slide))
    assert found is not None
    return found


def against(found: Chosen) -> dict[str, Against]:
    return {a.label: a.against for a in found.choice.alternatives}


def test_of_two_that_differ_in_scanner_only_each_slide_gets_its_own() -> None:
    one, other = profile("one", scanner="Aperio GT 450"), profile("other", scanner="Pannoramic")
    assert chosen(one, other, scanner="aperio  gt 450").profile == one
    found = chosen(one, other, scanner="Pannoramic")
    assert found.profile == other
    assert against(found) == {"one/1": Against.OTHER_SCANNER, "built-in/2": Against.LESS_SPECIFIC}


def test_the_most_specific_is_taken_and_each_alternative_says_why_it_is_not() -> None:
    whole = profile("whole", clone="SP1", stainer="BOND", scanner="GT450")
    others = [profile("marker"), profile("clone", clone="SP1"), profile("clone-2", clone="1D5")]
    found = chosen(*others, whole, clone="SP1", stainer="BOND", scanner="GT450")
    assert found.profile == whole
    assert against(found) == {
        "clone-2/1": Against.OTHER_CLONE,
        "built-in/2": Against.LESS_SPECIFIC,
        "marker/1": Against.LESS_SPECIFIC,
        "clone/1": Against.LESS_SPECIFIC,
    }


def test_what_is_not_known_of_a_slide_fits_no_profile_that_asks_for_it() -> None:
    found = chosen(profile("clone", clone="SP1"), profile("marker"))
    assert found.profile.name == "marker"
    assert against(found)["clone/1"] is Against.CLONE_UNKNOWN


def test_a_pathologist_s_own_is_never_chosen() -> None:
    own = profile("own", pathologist="dr-x", clone="SP1")
    found = chosen(own, clone="SP1")
    assert found.profile.name == "built-in"
    assert against(found) == {"own/1": Against.PERSONAL}


def test_two_that_fit_equally_are_refused_by_name() -> None:
    with pytest.raises(Refused, match=r"clone, scanner") as refused:
        chosen(profile("clone", clone="SP1"), profile("scanner", scanner="X"), clone="SP1", scanner="X")
    assert refused.value.reason == ServiceReason.NO_PROFILE


@pytest.mark.parametrize(
    ("days", "rules", "taken", "warnings"),
    [
        (None, ProfileRules(), "er/2", []),
        (30, ProfileRules(), "er/2", []),
        (29, ProfileRules(), "er/2", ["PROFILE_EXPIRES_SOON"]),
        (0, ProfileRules(), "er/2", ["PROFILE_EXPIRES_SOON"]),
        (0, ProfileRules(expiry_warning_days=0), "er/2", []),
        (-1, ProfileRules(expired=Expired.WARN), "er/2", ["PROFILE_EXPIRED"]),
        (-1, ProfileRules(expired=Expired.PASS_OVER), "er/1", []),
    ],
)
def test_expiry_warns_before_and_does_what_the_laboratory_chose_after(
    days: int | None, rules: ProfileRules, taken: str, warnings: list[str]
) -> None:
    until = None if days is None else TODAY + timedelta(days=days)
    found = chosen(profile("er"), replace(profile("er", 2), valid_until=until), rules=rules)
    assert (found.profile.label, list(found.warnings)) == (taken, warnings)


def test_after_expiry_an_order_is_refused_and_no_other_revision_stands_in() -> None:
    with pytest.raises(Refused, match=r"er/2 was valid until 2026-05-31") as refused:
        chosen(profile("er"), replace(profile("er", 2), valid_until=TODAY - timedelta(days=1)))
    assert refused.value.reason == ServiceReason.PROFILE_EXPIRED


def test_until_a_revision_begins_the_one_before_counts() -> None:
    later = replace(profile("er", 2), valid_from=TODAY + timedelta(days=1))
    found = chosen(profile("er"), later)
    assert found.profile.label == "er/1"
    assert against(found)["er/2"] is Against.NOT_YET_VALID
    assert chosen(profile("er"), replace(later, valid_from=TODAY)).profile.label == "er/2"


PARTS = st.sampled_from([ANY, "a", "b"])
KEYS = st.lists(
    st.builds(ProfileKey, lab=st.just("LAB"), marker=st.just("ER"), clone=PARTS, stainer=PARTS, scanner=PARTS)
)


@given(KEYS, PARTS, PARTS, PARTS)
def test_what_is_chosen_contradicts_the_slide_in_nothing_and_nothing_that_fits_is_more_specific(
    keys: list[ProfileKey], clone: str, stainer: str, scanner: str
) -> None:
    known = {"clone": clone, "stainer": stainer, "scanner": scanner}
    slide = Preparation(**{part: value for part, value in known.items() if value != ANY})
    profiles = [replace(profile(f"p{i}"), key=key) for i, key in enumerate(keys)]
    try:
        found = choose(profiles, ER, lab="LAB", today=TODAY, preparation=slide)
    except Refused:
        return
    assert found is not None
    named = [part for part in known if getattr(found.profile.key, part) != ANY]
    assert all(getattr(found.profile.key, part) == known[part] for part in named)
    for other in profiles:
        theirs = [part for part in known if getattr(other.key, part) != ANY]
        if other is not found.profile and all(getattr(other.key, part) == known[part] for part in theirs):
            assert len(theirs) < len(named)
    assert {a.label for a in found.choice.alternatives} | {found.profile.label} == {
        "built-in/2",
        *(p.label for p in profiles),
    }


def test_the_choice_is_one_line_for_a_person_and_json_that_reads_back() -> None:
    found = chosen(profile("gt", scanner="GT450"), profile("er"), profile("sp1", clone="SP1"), scanner="GT450")
    choice = replace(found.choice, preparation=replace(found.choice.preparation, by_slide=("scanner",)))
    assert explained(found.profile, choice) == (
        "Profile gt/1 chosen by scanner GT450 by the slide; not taken: sp1/1 CLONE_UNKNOWN,"
        " er/1 LESS_SPECIFIC, built-in/2 LESS_SPECIFIC"
    )
    assert explained(found.profile, choice, most=1).endswith("sp1/1 CLONE_UNKNOWN and 2 more")
    assert choice_in(choice_json(choice)) == choice
    assert Alternative(label="er/1", against=Against.LESS_SPECIFIC) in choice.alternatives


def header() -> Dataset:
    code, step, item, specimen, made = Dataset(), Dataset(), Dataset(), Dataset(), Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = "1", "99LAB", "BOND-III"
    item.ConceptCodeSequence = [code]
    step.SpecimenPreparationStepContentItemSequence = [item]
    specimen.SpecimenPreparationSequence = [step]
    made.Manufacturer, made.ManufacturerModelName = "Leica ", "GT450"
    made.SpecimenDescriptionSequence = [specimen]
    return made


def test_what_the_order_does_not_say_the_slide_s_header_does_where_the_site_says_where() -> None:
    path = (
        "SpecimenDescriptionSequence.SpecimenPreparationSequence.SpecimenPreparationStepContentItemSequence"
        ".ConceptCodeSequence"
    )
    rules = ProfileRules(
        scanner=("Manufacturer", "ManufacturerModelName"), stainer=(path,), clone=("StudyDescription",)
    )
    found = preparation_of(Specimen(clone="SP1"), [Dataset(), header()], rules)
    assert found == Preparation(clone="SP1", stainer="BOND-III", scanner="Leica GT450", by_slide=("stainer", "scanner"))
    assert preparation_of(Specimen(scanner="X"), [header()], rules).scanner == "X"
    assert preparation_of(Specimen(), [header()], ProfileRules()) == Preparation()
