"""Embeddings for comparing pictures with each other.

They are those of the MobileFaceNet which comes with the trainer, whatever is trained.
"""

from __future__ import annotations

import numpy as np
import torch

from . import data, pretrained


class Embedder:
    """The backbone for comparing faces."""

    def __init__(self) -> None:
        backbone = pretrained.build("mobilefacenet", "faces", data.CROP_PX).eval()
        self.backbone = backbone.to(memory_format=torch.channels_last)

    def embed(self, crops: np.ndarray) -> np.ndarray:
        """Crops uint8 [n, 112, 112, 3] to embeddings of length 1, float32 [n, d]."""
        with torch.inference_mode():
            features = self.backbone(torch.from_numpy(crops).permute(0, 3, 1, 2).float()).numpy()
        return features / (np.linalg.norm(features, axis=1, keepdims=True) + 1e-12)
