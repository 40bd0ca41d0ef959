"""Embeddings for comparing pictures with each other.

They are those of the embedding which comes with the trainer, whatever is trained.
"""

from __future__ import annotations

import numpy as np

from . import modelfile, prototypes


class Embedder:
    """The network for comparing faces."""

    def __init__(self) -> None:
        self.runner = modelfile.Runner(prototypes.EMBEDDING)

    def embed(self, crops: np.ndarray) -> np.ndarray:
        """Crops uint8 [n, 112, 112, 3] to embeddings of length 1, float32 [n, d]."""
        return np.stack([self.runner.run(crop)["embedding"] for crop in crops])
