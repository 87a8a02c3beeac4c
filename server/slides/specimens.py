"""What a slide says of the specimens on it and of their staining (PS3.3, C.7.6.22; PS3.16, TID 8001 and 8003)."""

from collections.abc import Iterator

from pydicom.dataset import Dataset

from server.slides.optical_path import items

USING_SUBSTANCE = frozenset({"424361007", "G-C350", "127159"})
"""What a step of staining calls its stain: Using substance, by its old code too, and a stain's free text."""


def specimen_ids(dataset: Dataset) -> tuple[str, ...]:
    """Specimen identifiers, in the file's order, without empty ones."""
    found = (str(s.get("SpecimenIdentifier") or "").strip() for s in items(dataset, "SpecimenDescriptionSequence"))
    return tuple(filter(None, found))


def stains(dataset: Dataset) -> tuple[str, ...]:
    """What its specimens were stained with, as codes' meanings or texts."""
    return tuple(dict.fromkeys(text for content in _contents(dataset) for text in _substance(content)))


def sites(dataset: Dataset) -> tuple[tuple[str, str, str], ...]:
    """Code, scheme and meaning of where its specimens were taken from."""
    specimens = items(dataset, "SpecimenDescriptionSequence")
    found = (code for s in specimens for code in items(s, "PrimaryAnatomicStructureSequence"))
    keywords = ("CodeValue", "CodingSchemeDesignator", "CodeMeaning")
    said = (tuple(str(code.get(k) or "").strip() for k in keywords) for code in found)
    return tuple(dict.fromkeys((code, scheme, text) for code, scheme, text in said if code))


def descriptions(dataset: Dataset) -> tuple[str, ...]:
    """The specimens' short descriptions."""
    found = (str(s.get("SpecimenShortDescription") or "") for s in items(dataset, "SpecimenDescriptionSequence"))
    return tuple(filter(None, found))


def _contents(dataset: Dataset) -> Iterator[Dataset]:
    for specimen in items(dataset, "SpecimenDescriptionSequence"):
        for step in items(specimen, "SpecimenPreparationSequence"):
            yield from items(step, "SpecimenPreparationStepContentItemSequence")


def _substance(content: Dataset) -> Iterator[str]:
    names = {str(name.get("CodeValue") or "") for name in items(content, "ConceptNameCodeSequence")}
    if not names & USING_SUBSTANCE:
        return
    yield from filter(None, (str(c.get("CodeMeaning") or "") for c in items(content, "ConceptCodeSequence")))
    if content.get("TextValue"):
        yield str(content.TextValue)
