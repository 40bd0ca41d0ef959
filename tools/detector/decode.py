"""Pictures into BlazeFace and faces out of it, in numpy: the same steps as src/detect.rs.

A face is an array of 8 points: left top and right bottom of the box, then the subject's right
eye, left eye, nose, mouth, right ear and left ear, all in pixels of the picture.
"""

import numpy as np
from PIL import Image

INPUT_PX = 256
# One entry a feature map: the step of its cells in input pixels and the anchors in each cell.
ANCHOR_LAYERS = [{"stride": 16, "per_cell": 2}, {"stride": 32, "per_cell": 6}]
PAD_GRAY = 128


def anchors() -> np.ndarray:
    """Centres of the anchors in input pixels, [896, 2] as x and y."""
    rows = []
    for layer in ANCHOR_LAYERS:
        cells = INPUT_PX // layer["stride"]
        centres = (np.arange(cells) + 0.5) * layer["stride"]
        y, x = np.meshgrid(centres, centres, indexing="ij")
        grid = np.stack([x.ravel(), y.ravel()], axis=1)
        rows.append(np.repeat(grid, layer["per_cell"], axis=0))
    return np.concatenate(rows).astype(np.float32)


def letterbox(picture: Image.Image) -> tuple[np.ndarray, float, tuple[int, int]]:
    """The picture in the middle of a gray square, with the scale and the offset it got."""
    scale = INPUT_PX / max(picture.size)
    width, height = (max(1, round(side * scale)) for side in picture.size)
    small = picture.resize((width, height), Image.Resampling.BILINEAR)
    left, top = (INPUT_PX - width) // 2, (INPUT_PX - height) // 2
    canvas = np.full((INPUT_PX, INPUT_PX, 3), PAD_GRAY, np.uint8)
    canvas[top : top + height, left : left + width] = np.asarray(small)
    return canvas, scale, (left, top)


def decode(
    boxes: np.ndarray, scores: np.ndarray, threshold: float
) -> tuple[np.ndarray, np.ndarray]:
    """Faces [n, 8, 2] in input pixels and their confidences [n] above `threshold`, best first."""
    confidences = 1 / (1 + np.exp(-np.clip(scores, -80, 80)))
    keep = np.flatnonzero(confidences >= threshold)
    keep = keep[np.argsort(-confidences[keep], kind="stable")]
    points = boxes[keep].reshape(-1, 8, 2).copy()
    centre = points[:, 0] + anchors()[keep]
    size = points[:, 1].copy()
    points[:, 2:] += anchors()[keep][:, None]
    points[:, 0], points[:, 1] = centre - size / 2, centre + size / 2
    valid = (size > 0).all(axis=1)
    return points[valid], confidences[keep][valid]


def iou(box: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Intersection over union of one face's box [8, 2] with others' [n, 8, 2]."""
    low = np.maximum(box[0], others[:, 0])
    high = np.minimum(box[1], others[:, 1])
    shared = np.clip(high - low, 0, None).prod(axis=1)
    areas = (others[:, 1] - others[:, 0]).prod(axis=1)
    return shared / np.maximum((box[1] - box[0]).prod() + areas - shared, 1e-9)


def merge(points: np.ndarray, confidences: np.ndarray, iou_threshold: float):
    """Blends each best face with those that overlap it, weighted by confidence."""
    faces, best = [], []
    while len(points):
        overlaps = iou(points[0], points) > iou_threshold
        overlaps[0] = True
        weights = confidences[overlaps]
        faces.append(np.average(points[overlaps], axis=0, weights=weights))
        best.append(confidences[0])
        points, confidences = points[~overlaps], confidences[~overlaps]
    return np.array(faces).reshape(-1, 8, 2), np.array(best)


def detect(session, picture: Image.Image, score_threshold: float, iou_threshold: float):
    """Faces of a picture in its own pixels and their confidences, best first."""
    canvas, scale, offset = letterbox(picture)
    boxes, scores = session.run(["boxes", "scores"], {"image": canvas[None]})
    points, confidences = decode(boxes[0], scores[0], score_threshold)
    faces, confidences = merge(points, confidences, iou_threshold)
    return (faces - np.array(offset)) / scale, confidences
