"""Compares face detectors: a reference's answers with another's for the same pictures."""

import numpy as np

from decode import iou

MOUTH = 5
EYES = slice(2, 4)


def agreement(reference, answers) -> dict[str, float]:
    """How near `answers` come to `reference`; both hold faces and confidences of each picture."""
    found = missed = extra = 0
    shifts, differences = [], []
    for (faces, confidences), (others, other_confidences) in zip(reference, answers, strict=True):
        used = set()
        for face, confidence in zip(faces, confidences, strict=True):
            overlaps = iou(face, others) if len(others) else np.zeros(1)
            nearest = int(overlaps.argmax())
            if overlaps[nearest] <= 0.3:
                missed += 1
                continue
            found += 1
            used.add(nearest)
            points = np.r_[EYES, MOUTH]
            distance = np.linalg.norm(others[nearest][points] - face[points], axis=1).mean()
            shifts.append(distance / (face[1] - face[0]).max())
            differences.append(other_confidences[nearest] - confidence)
        extra += len(others) - len(used)
    return {
        "faces_float": found + missed,
        "faces_float_and_int8": found,
        "faces_int8_only": extra,
        "landmark_shift_median_face_widths": round(float(np.median(shifts)), 4),
        "confidence_difference_mean": round(float(np.mean(differences)), 4),
        "confidence_difference_std": round(float(np.std(differences)), 4),
    }
