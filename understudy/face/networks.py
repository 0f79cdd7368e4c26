"""The networks that MediaPipe 0.10.21 carries: a square of a picture in, numbers out, nothing remembered.

`FaceMesh`, MediaPipe's own solution, tracks: what it answers depends on what it saw before, and it looks through
windows of its own choosing, which follow every quiver of the landmarks and so make them quiver more. Here its mesh
network (192 pixels square, with attention to lips, eyes and irises) is run on the square that the caller cut, and
also says how sure it is that this is a face; so are its two detectors, BlazeFace for near and for far faces.

A graph belongs to one thread at a time, and must not be used on both sides of a fork.
"""

from __future__ import annotations

import os
import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from understudy.errors import MissingExtra
from understudy.extras import absent
from understudy.face.square import Picture, Points

os.environ.setdefault("GLOG_minloglevel", "2")  # read once, when MediaPipe's library is loaded

MESH_SIZE: Final = 192
NEAR_SIZE: Final = 128
FAR_SIZE: Final = 192

# MediaPipe's FaceLandmarkCpu without its window, its gate and its protobufs: the square that comes in is the window,
# the answer is given whatever it is worth, and points come out as one matrix.
MESH_GRAPH: Final = """
input_stream: "image"
node {
  calculator: "ConstantSidePacketCalculator" output_side_packet: "PACKET:with_attention"
  node_options: { [type.googleapis.com/mediapipe.ConstantSidePacketCalculatorOptions] { packet { bool_value: true } } }
}
node { calculator: "TfLiteCustomOpResolverCalculator" output_side_packet: "OP_RESOLVER:operations" }
node {
  calculator: "FaceLandmarksModelLoader"
  input_side_packet: "WITH_ATTENTION:with_attention" output_side_packet: "MODEL:model"
}
node {
  calculator: "ImageToTensorCalculator" input_stream: "IMAGE:image" output_stream: "TENSORS:input"
  node_options: { [type.googleapis.com/mediapipe.ImageToTensorCalculatorOptions] {
    output_tensor_width: 192 output_tensor_height: 192 output_tensor_float_range { min: 0 max: 1 }
  } }
}
node {
  calculator: "InferenceCalculator" input_stream: "TENSORS:input" output_stream: "TENSORS:output"
  input_side_packet: "MODEL:model" input_side_packet: "OP_RESOLVER:operations"
  node_options: { [type.googleapis.com/mediapipe.InferenceCalculatorOptions] { delegate { xnnpack {} } } }
}
node {
  calculator: "SplitTensorVectorCalculator" input_stream: "output"
  output_stream: "point_tensors" output_stream: "presence_tensor"
  node_options: { [type.googleapis.com/mediapipe.SplitVectorCalculatorOptions] {
    ranges { begin: 0 end: 6 } ranges { begin: 6 end: 7 }
  } }
}
node { calculator: "TensorsToFloatsCalculator" input_stream: "TENSORS:presence_tensor" output_stream: "FLOAT:presence" }
node {
  calculator: "TensorsToFaceLandmarksWithAttention"
  input_stream: "TENSORS:point_tensors" output_stream: "LANDMARKS:landmarks"
}
node { calculator: "ImagePropertiesCalculator" input_stream: "IMAGE:image" output_stream: "SIZE:size" }
node {
  calculator: "LandmarksToMatrixCalculator" output_stream: "LANDMARKS_MATRIX:points"
  input_stream: "LANDMARKS:landmarks" input_stream: "IMAGE_SIZE:size"
  node_options: { [type.googleapis.com/mediapipe.LandmarksToMatrixCalculatorOptions] { object_normalization: false } }
}
"""
DETECTOR_GRAPH: Final = "mediapipe/modules/face_detection/face_detection_{}_cpu.binarypb"
DETECTOR_OPTION: Final = "facedetection{}__facedetection__TensorsToDetectionsCalculator.min_score_thresh"

# What MediaPipe's C++ and protobuf say on stderr whatever their log level, and which tells nobody anything.
CHATTER: Final = re.compile(rb"GetPrototype|Created TensorFlow Lite|absl::InitializeLog|inference_feedback_manager")


@dataclass(frozen=True)
class Detection:
    """What may be a face. Coordinates in pixels of what was looked at; `score` in [0, 1]."""

    score: float
    x: float  # centre of its box
    y: float
    side: float  # the longer one
    turn: float  # of the line from one eye to the other, radians, clockwise as seen


class MeshNetwork:
    """478 points of the one face that fills two thirds of a square, with depth."""

    def __init__(self) -> None:
        solution_base = _mediapipe()
        hints = {"points": solution_base.PacketDataType.AUDIO}  # its name for a matrix
        with hushed():
            self._graph = solution_base.SolutionBase(
                graph_config=MESH_GRAPH, outputs=["points", "presence"], stream_type_hints=hints
            )
            self(np.zeros((MESH_SIZE, MESH_SIZE, 3), np.uint8))

    def __call__(self, square: Picture) -> tuple[Points, float]:
        """(192, 192, 3) RGB -> points (478, 3) in pixels of the square (depth in the same unit, nearer is smaller),
        and the log-odds that they are those of a face."""
        seen = self._graph.process(np.ascontiguousarray(square))
        points = np.asarray(seen.points, np.float32).T * MESH_SIZE
        points[:, :2] -= 0.5  # the network counts from the square's edge, we from the middle of its first pixel
        return points, float(seen.presence)

    def close(self) -> None:
        self._graph.close()


class Detector:
    """BlazeFace. The near one wants faces larger than a fifth of the square, the far one than a tenth."""

    def __init__(self, far: bool, least: float = 0.01) -> None:
        """`least`: detections that score less are not reported."""
        self.size = FAR_SIZE if far else NEAR_SIZE
        name = "full_range" if far else "short_range"
        solution_base = _mediapipe()
        with hushed():
            self._graph = solution_base.SolutionBase(
                binary_graph_path=DETECTOR_GRAPH.format(name),
                calculator_params={DETECTOR_OPTION.format(name.replace("_", "")): least},
                outputs=["detections"],
            )
            self(np.zeros((self.size, self.size, 3), np.uint8))

    def __call__(self, square: Picture) -> list[Detection]:
        """(size, size, 3) RGB -> what may be faces, the best first."""
        found = self._graph.process(np.ascontiguousarray(square)).detections or []
        return sorted((self._detection(each) for each in found), key=lambda each: -each.score)

    def _detection(self, found: Any) -> Detection:
        box = found.location_data.relative_bounding_box
        one, other = found.location_data.relative_keypoints[:2]  # the eyes, from the picture's left
        return Detection(
            score=float(found.score[0]),
            x=(box.xmin + box.width / 2) * self.size - 0.5,
            y=(box.ymin + box.height / 2) * self.size - 0.5,
            side=max(box.width, box.height) * self.size,
            turn=float(np.arctan2(other.y - one.y, other.x - one.x)),
        )

    def close(self) -> None:
        self._graph.close()


def _mediapipe() -> Any:
    """MediaPipe's `solution_base`, which takes half a second to load and has much to say while it does."""
    try:
        with hushed():
            import mediapipe
            from mediapipe.python import solution_base
    except ImportError as error:
        raise absent(error, "Finding faces") from error
    modules = os.path.join(os.path.dirname(mediapipe.__file__), "modules", "face_landmark")
    if not os.path.exists(os.path.join(modules, "face_landmark_with_attention.tflite")):
        raise MissingExtra(
            "this MediaPipe does not carry its models",
            f"version {getattr(mediapipe, '__version__', 'unknown')}",
            "pip install mediapipe==0.10.21, the last one that does",
        )
    return solution_base


@contextmanager
def hushed() -> Iterator[None]:
    """Drop the lines of `CHATTER` from what is written to stderr meanwhile, by whomever, and let all else through.

    The environment variables that should silence them do not, and they come from C++, below `sys.stderr`."""
    try:
        loud = os.dup(2)
    except OSError:  # there is no stderr at all
        yield
        return
    with tempfile.TemporaryFile() as heard:
        with suppress(OSError, ValueError):
            sys.stderr.flush()
        os.dup2(heard.fileno(), 2)
        try:
            yield
        finally:
            with suppress(OSError, ValueError):
                sys.stderr.flush()
            os.dup2(loud, 2)
            heard.seek(0)
            for line in heard:
                if not CHATTER.search(line):
                    os.write(loud, line)
            os.close(loud)
