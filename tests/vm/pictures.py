"""Makes what the board's camera shows out of the sample photo: somebody who is known, a stranger, nobody.

Each is written as a JPEG file and as raw YUYV, 640x480 pixels.
usage: pictures.py PHOTO FOLDER
"""

import sys
from pathlib import Path

import numpy as np
from PIL import Image

SIZE = (640, 480)

# Where the faces are in the photo of six people: left, top, width in pixels.
FACES = {"known": (61, 290, 112), "stranger": (906, 72, 126)}


def close_up(photo: Image.Image, face: tuple[int, int, int]) -> Image.Image:
    """Return the part of the photo in which the face takes a third of the width."""
    left, top, width = face
    scale = SIZE[0] / (3 * width)
    x, y = left - width, top - (SIZE[1] / scale - width) / 2
    x = min(max(x, 0), photo.width - SIZE[0] / scale)
    y = min(max(y, 0), photo.height - SIZE[1] / scale)
    part = photo.resize(SIZE, Image.LANCZOS, (x, y, x + SIZE[0] / scale, y + SIZE[1] / scale))
    # Others stand nearby; what is beyond the face's surroundings is painted over.
    pixels = np.asarray(part).copy()
    middle = (left + width / 2 - x) * scale
    columns = np.abs(np.arange(SIZE[0]) - middle) > 0.95 * width * scale
    pixels[:, columns] = 120
    return Image.fromarray(pixels)


def yuyv(picture: Image.Image) -> bytes:
    """Return Y U Y V of pairs of pixels, BT.601 limited range."""
    red, green, blue = np.moveaxis(np.asarray(picture, dtype=np.float32), -1, 0)
    luma = 16 + (0.299 * red + 0.587 * green + 0.114 * blue) * 219 / 255
    u = 128 + (-0.168736 * red - 0.331264 * green + 0.5 * blue) * 224 / 255
    v = 128 + (0.5 * red - 0.418688 * green - 0.081312 * blue) * 224 / 255
    pairs = np.empty((SIZE[1], SIZE[0] // 2, 4), np.float32)
    pairs[..., 0], pairs[..., 2] = luma[:, 0::2], luma[:, 1::2]
    pairs[..., 1], pairs[..., 3] = (u[:, 0::2] + u[:, 1::2]) / 2, (v[:, 0::2] + v[:, 1::2]) / 2
    return pairs.round().clip(0, 255).astype(np.uint8).tobytes()


def main() -> None:
    """Write the pictures."""
    photo = Image.open(sys.argv[1]).convert("RGB")
    folder = Path(sys.argv[2])
    folder.mkdir(parents=True, exist_ok=True)
    pictures = {name: close_up(photo, face) for name, face in FACES.items()}
    pictures["nobody"] = Image.new("RGB", SIZE, (120, 120, 120))
    for name, picture in pictures.items():
        picture.save(folder / f"{name}.jpg", quality=90)
        (folder / f"{name}.yuyv").write_bytes(yuyv(picture))


if __name__ == "__main__":
    main()
