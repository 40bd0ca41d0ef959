"""What the steps of the trainer share."""

from pathlib import Path

TRAINER = "celebcam-trainer 0.1.0"
# The trainer's folder, and the repository that it lies in.
RECOGNIZER = Path(__file__).resolve().parents[1]
REPOSITORY = RECOGNIZER.parents[1]
