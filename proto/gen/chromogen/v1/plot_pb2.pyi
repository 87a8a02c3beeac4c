from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from typing import ClassVar as _ClassVar

DESCRIPTOR: _descriptor.FileDescriptor

class PlotFormat(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    PLOT_FORMAT_UNSPECIFIED: _ClassVar[PlotFormat]
    PLOT_FORMAT_PNG: _ClassVar[PlotFormat]
    PLOT_FORMAT_SVG: _ClassVar[PlotFormat]
PLOT_FORMAT_UNSPECIFIED: PlotFormat
PLOT_FORMAT_PNG: PlotFormat
PLOT_FORMAT_SVG: PlotFormat
