"""The invented identity of a drawn slide."""

from dataclasses import dataclass
from datetime import UTC, date, datetime
from uuid import UUID, uuid5

from highdicom import (
    SpecimenCollection,
    SpecimenDescription,
    SpecimenPreparationStep,
    SpecimenSampling,
    SpecimenStaining,
)
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.uid import UID

from inference.assay import USUAL_MARKER
from server.slides.slide_header import optical_path

NAMESPACE = UUID("5d0a4f0e-3c0b-5b8e-9a51-6e7d0c6a2b11")


@dataclass(frozen=True, slots=True, kw_only=True)
class SlideIdentity:
    """Whose slide it is, all invented. Every UID derives from `key`: the same key names the same slide again."""

    key: str
    container_id: str = "INVENTED-S26-1-A-1"
    specimen_id: str = "INVENTED-S26-1-A"
    accession_number: str = "INVENTED-S26-1"
    patient_id: str = "INVENTED-1"
    patient_issuer: str = "DEMO-LAB"
    family_name: str = "TEST-INVENTED"
    given_name: str = "Drawn"
    birth_date: date = date(1960, 1, 1)
    sex: str = "F"
    marker: str = USUAL_MARKER
    acquired_at: datetime = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    manufacturer: str = "chromogen"
    model_name: str = "drawn slide"

    def uid(self, thing: str) -> UID:
        """The UID of one thing of this slide, under 2.25 (PS3.5 B.2)."""
        return UID(f"2.25.{uuid5(NAMESPACE, f'{self.key}/{thing}').int}")

    @property
    def study_uid(self) -> str:
        return str(self.uid("study"))

    @property
    def series_uid(self) -> str:
        return str(self.uid("series"))

    def describe(self, ds: Dataset) -> None:
        """Implements `server.slides.slide_header.SlideWords`."""
        ds.PatientName = f"{self.family_name}^{self.given_name}"
        ds.PatientID, ds.PatientSex = self.patient_id, self.sex
        if self.patient_issuer:
            ds.IssuerOfPatientID = self.patient_issuer
        ds.PatientBirthDate = self.birth_date.strftime("%Y%m%d")
        ds.StudyID, ds.AccessionNumber, ds.ReferringPhysicianName = "1", self.accession_number, ""
        ds.Manufacturer, ds.ManufacturerModelName = self.manufacturer, self.model_name
        ds.DeviceSerialNumber, ds.SoftwareVersions = "0", "0"
        acquired = self.acquired_at.astimezone(UTC)
        day, time = acquired.strftime("%Y%m%d"), acquired.strftime("%H%M%S")
        ds.StudyDate = ds.SeriesDate = ds.ContentDate = day
        ds.StudyTime = ds.SeriesTime = ds.ContentTime = time
        ds.AcquisitionDateTime, ds.TimezoneOffsetFromUTC = f"{day}{time}", "+0000"
        ds.ContainerIdentifier, ds.SpecimenDescriptionSequence = self.container_id, [_specimen(self)]
        path = optical_path()
        path.ObjectiveLensPower = "20"
        ds.OpticalPathSequence = [path]


def _specimen(identity: SlideIdentity) -> SpecimenDescription:
    specimen = SpecimenDescription(
        specimen_id=identity.specimen_id,
        specimen_uid=identity.uid("specimen"),
        specimen_type=codes.SCT.TissueSection,
        specimen_short_description=f"Drawn section, {identity.marker}",
        specimen_preparation_steps=_preparation(identity),
        primary_anatomic_structures=[codes.SCT.Endometrium],
    )
    if "IssuerOfTheSpecimenIdentifierSequence" not in specimen:
        specimen.IssuerOfTheSpecimenIdentifierSequence = []
    return specimen


def _second_stain(marker: str) -> str:
    return "water soluble eosin" if marker == "HE" else f"{marker} antibody, DAB"


def _preparation(identity: SlideIdentity) -> list[SpecimenPreparationStep]:
    """Collected, cut from its block, stained (TID 8001)."""
    part = identity.accession_number
    fixed = {"fixative": codes.SCT.Formalin, "embedding_medium": codes.SCT.ParaffinWax}
    collection = SpecimenCollection(procedure=codes.SCT.Excision)
    cut = SpecimenSampling(
        method=codes.SCT.BlockSectioning, parent_specimen_id=part, parent_specimen_type=codes.SCT.TissueSpecimen
    )
    staining = SpecimenStaining(substances=[codes.SCT.HematoxylinStain, _second_stain(identity.marker)])
    return [
        SpecimenPreparationStep(part, processing_procedure=collection, **fixed),
        SpecimenPreparationStep(identity.specimen_id, processing_procedure=cut, **fixed),
        SpecimenPreparationStep(identity.specimen_id, processing_procedure=staining, **fixed),
    ]
