"""An order written out, and read with parts of it replaced."""

from server.domain.order import Request
from server.hl7.oml import parse_order

ORDER = "\r".join(
    [
        "MSH|^~\\&|LIS|LAB-A|CHROMOGEN|LAB-A|20260301093015+0100||OML^O21^OML_O21|M-1|P|2.5.1||||||8859/1",
        "PID|1|OLD-1|SSN-1^^^USSSA^SS~TEST-1^^^LAB-A&1.2.3&ISO^MR||TEST-INVENTED&von^Zo\xeb^M||19500102|f",
        "ORC|NW|P-1^LIS^1.2^ISO|||||^^^^^A||20260301101500+0100",
        "TQ1|1||||||||S",
        "OBR|1|P-1||85337-4^Estrogen receptor^LN^ERX^ER \\T\\ more^L|A||||||||||BREAST",
        "OBX|1|ST|110180^Study Instance UID^DCM||1.2.3.4||||||O",
        "SPM|1|S-1&LIS^F-1&LAB||TISS^Tissue^HL70487||||76752008^Breast^SCT",
        "SAC|||C-1",
    ]
)


def parsed(*replacements: tuple[str, str]) -> Request:
    text = ORDER
    for old, new in replacements:
        assert old in text
        text = text.replace(old, new)
    return parse_order(text.encode("latin-1"))
