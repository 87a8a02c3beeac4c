"""The page's slide: its tiles, and its cells by squares."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NoReturn

from starlette.requests import Request
from starlette.responses import Response

from server.domain.access import Caller
from server.domain.errors import Refused, ServiceReason
from server.domain.result import ResultId
from server.services.cell_index import LARGEST_SAMPLE, SIDE_PX, columns_packed, of_a_sample, packed
from server.services.estimates import EstimateService
from server.services.page_cells import PageCells
from server.services.slide_tiles import ORIGINAL, Shown, SlideTiles
from server.web import asked
from server.web.door import Json, Operation
from server.web.work import RESULT


@dataclass(frozen=True, slots=True, kw_only=True)
class SlideOperations:
    """By the services alone."""

    tiles: SlideTiles
    cells: PageCells
    estimates: EstimateService

    def all(self) -> Iterator[Operation]:
        tile = f"{RESULT}/tiles/{{level}}/{{column}}/{{row}}"
        yield Operation(path=tile, method="GET", name="ShowSlide", work=self.tile)
        yield Operation(path=f"{RESULT}/cells", method="GET", name="ListCells", work=self.squares)
        yield Operation(path=f"{RESULT}/cells/sample", method="GET", name="ListCells", work=self.sample)
        yield Operation(path=f"{RESULT}/cells/{{column}}/{{row}}", method="GET", name="ListCells", work=self.square)

    def tile(self, request: Request, caller: Caller) -> Response:
        level, column, row = (_whole(request, name) for name in ("level", "column", "row"))
        query = request.query_params
        shown = Shown(
            stain=query.get("stain", ORIGINAL), low=_real(query.get("low", "0")), high=_real(query.get("high", "1"))
        )
        picture = self.tiles.tile(caller, asked.result_id(request), level, column, row, shown)
        return Response(picture, media_type="image/jpeg")

    def squares(self, request: Request, caller: Caller) -> Json:
        """Which squares there are, and how records of a cell lie in what is sent of one."""
        index = self.cells.index(caller, self._shown(request, caller))
        return {
            "n": index.n,
            "side": SIDE_PX,
            "sample": LARGEST_SAMPLE,
            "columns": columns_packed(of_a_sample(index.dtype)),
            "square_columns": columns_packed(index.dtype),
            "squares": [[s.column, s.row, s.count] for s in index.squares],
        }

    def sample(self, request: Request, caller: Caller) -> Response:
        return _sent(self.cells.index(caller, self._shown(request, caller)).sample())

    def square(self, request: Request, caller: Caller) -> Response:
        column, row = (_whole(request, name) for name in ("column", "row"))
        return _sent(packed(self.cells.index(caller, self._shown(request, caller)).square(column, row)))

    def _shown(self, request: Request, caller: Caller) -> ResultId:
        """Raises Refused ESTIMATE_MISSING: cells are coloured by what they are graded."""
        result_id = asked.result_id(request)
        self.estimates.check_shown(caller, result_id)
        return result_id


def _sent(packed_records: bytes) -> Response:
    return Response(packed_records, media_type="application/octet-stream")


def _whole(request: Request, name: str) -> int:
    found = str(request.path_params[name])
    return int(found) if found.isascii() and found.isdigit() and len(found) < 8 else _invalid(name)


def _real(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        _invalid("low or high")


def _invalid(name: str) -> NoReturn:
    raise Refused(ServiceReason.ARGUMENT_INVALID, f"{name} is no number")
