"""Files of a result for a person's own computer. Their names say nothing of the patient."""

import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import FileResponse, Response

from server.domain.access import Caller
from server.services.downloads import DownloadService
from server.services.estimates import EstimateService
from server.web import asked
from server.web.door import Operation
from server.web.work import RESULT

KINDS = {
    ".pdf": "application/pdf",
    ".csv": "text/csv; charset=utf-8",
    ".geojson": "application/geo+json",
    ".png": "image/png",
    ".json": "application/json",
    ".zip": "application/zip",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class DownloadOperations:
    """By the services alone."""

    downloads: DownloadService
    estimates: EstimateService

    def all(self) -> Iterator[Operation]:
        yield Operation(path=f"{RESULT}/download/{{name}}", method="GET", name="DownloadResult", work=self.download)

    def download(self, request: Request, caller: Caller) -> Response:
        result_id, name = asked.result_id(request), str(request.path_params["name"])
        self.estimates.check_shown(caller, result_id)
        folder = Path(tempfile.mkdtemp(prefix="chromogen-download-"))
        try:
            path = self.downloads.make(caller, result_id, name, folder)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        gone = BackgroundTask(shutil.rmtree, folder, ignore_errors=True)
        called = f"chromogen-{result_id[:8]}-{name}"
        return FileResponse(path, media_type=KINDS[path.suffix], filename=called, background=gone)
