"""The page of a microscope: its fields one after the other, each answered with its cells and the running score."""

from collections.abc import Iterator

import numpy as np
from starlette.requests import Request
from starlette.routing import BaseRoute, Route

from inference.assay import assays
from server.domain.access import Caller
from server.domain.errors import Refused, ServiceReason
from server.services.analysis import Picture
from server.services.microscopes import Microscopes, Seen
from server.web import asked, files
from server.web.door import Json, Operation, body_of
from server.web.page_json import assay_json, rows_json

NAME = "AnalyzeFields"
"""Of the table of permissions: what the gRPC stream is."""
PATH = "/data/microscopes"
SHELL = "microscope.html"


class MicroscopeOperations:
    """By the service alone."""

    def __init__(self, microscopes: Microscopes) -> None:
        self._microscopes = microscopes

    def routes(self) -> Iterator[BaseRoute]:
        yield Route("/microscope", files.answer_of(SHELL), methods=["GET"])

    def all(self) -> Iterator[Operation]:
        one = f"{PATH}/{{microscope}}"
        yield Operation(path=PATH, method="GET", name=NAME, work=self.markers)
        yield Operation(path=PATH, method="POST", name=NAME, work=self.begin)
        yield Operation(path=f"{one}/fields", method="POST", name=NAME, work=self.look)
        yield Operation(path=f"{one}/end", method="POST", name=NAME, work=self.end)

    def markers(self, _: Request, __: Caller) -> Json:
        """What can be looked at."""
        return {"markers": [assay.marker for assay in assays()]}

    def begin(self, request: Request, caller: Caller) -> Json:
        microscope, method = self._microscopes.begin(caller, asked.text(asked.body(request), "marker", least=1))
        return {"id": microscope, "assay": assay_json(method.assay), "profile": method.profile.label}

    def look(self, request: Request, caller: Caller) -> Json:
        """The body is the picture; the query has `mpp`, and `counted=false` for a field that isn't to be counted."""
        picture = Picture(data=body_of(request), mpp=_mpp(request))
        counted = request.query_params.get("counted", "true")
        if counted not in ("true", "false"):
            raise Refused(ServiceReason.ARGUMENT_INVALID, "counted must be true or false")
        microscope = str(request.path_params["microscope"])
        return field_json(self._microscopes.look(caller, microscope, picture, counted=counted == "true"))

    def end(self, request: Request, caller: Caller) -> Json:
        self._microscopes.end(caller, str(request.path_params["microscope"]))
        return {}


def field_json(seen: Seen) -> Json:
    """Cells as columns: x, y in px of the field, `group` by its place among the assay's groups (class and grade)."""
    found, assay = seen.found, seen.method.assay
    groups = assay.analyzer.group_of(found.cells, seen.method.profile.criteria)
    return {
        "size": [found.size.width, found.size.height],
        "cells": {
            "n": len(found.cells),
            "x": np.round(found.cells.x, 1).tolist(),
            "y": np.round(found.cells.y, 1).tolist(),
            "group": groups.tolist(),
        },
        "scores": rows_json(found.scores, assay),
        "running": rows_json(found.running, assay),
        "fields": seen.fields,
        "warnings": list(found.warnings),
    }


def _mpp(request: Request) -> float:
    said = request.query_params.get("mpp", "")
    if not said:
        raise Refused(ServiceReason.FIELD_MISSING, "mpp is missing: the frames' µm per pixel")
    try:
        return float(said)
    except ValueError:
        raise Refused(ServiceReason.ARGUMENT_INVALID, "mpp is no number of µm per pixel") from None
