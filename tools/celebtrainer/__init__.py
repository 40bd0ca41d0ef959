"""What the steps of the trainer share."""

TRAINER = "celebcam-trainer 0.1.0"
