"""Pixels to nuclei, grades and scores. Knows nothing of the hospital."""

import os
import sys

# The libraries that run the networks report each start to their makers (ONNX Runtime by itself, OpenVINO by this
# package), unless told before they are imported: a hospital's machine tells nobody outside what it runs.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]  # an import of it fails, for which OpenVINO is prepared
