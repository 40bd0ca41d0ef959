"""Makes what the board's camera shows out of the sample photo: somebody who is known, a stranger, nobody.

Each is written as a JPEG file and as raw YUYV, 640x480 pixels.
usage: pictures.py PHOTO FOLDER
"""

import sys
from pathlib import Path

import numpy as np
from PIL import Image

SIZE = (640, 480)

# Where the faces are in the photo of six people: left, top, width in pixels, and the angle that turns
# them upright, in degrees.
FACES = {"known": (61, 290, 112, -20), "stranger": (906, 72, 126, 0)}

# Width of the face as a share of the picture's: large enough not to need a second look, which takes an
# emulated board a second.
FACE_SHARE = 0.36


# Shares in the photos by which the stranger is added.
ALBUM_SHARES = (0.26, 0.31, FACE_SHARE)


def close_up(
    photo: Image.Image, face: tuple[int, int, int, int], share: float = FACE_SHARE
) -> Image.Image:
    """Return the picture of one face, with what is beside it painted over: others stand there."""
    left, top, width, angle = face
    centre = (left + width / 2, top + width / 2)
    upright = photo.rotate(angle, Image.BICUBIC, center=centre)
    scale = share * SIZE[0] / width
    corner = [middle - side / 2 / scale for middle, side in zip(centre, SIZE, strict=True)]
    shift = (1 / scale, 0, corner[0], 0, 1 / scale, corner[1])
    pixels = np.asarray(upright.transform(SIZE, Image.AFFINE, shift, Image.BICUBIC)).copy()
    beside = np.abs(np.arange(SIZE[0]) - SIZE[0] / 2) > 0.95 * width * scale
    pixels[:, beside] = 120
    return Image.fromarray(pixels)


def yuyv(picture: Image.Image) -> bytes:
    """Return Y U Y V of pairs of pixels, BT.601 limited range."""
    red, green, blue = np.moveaxis(np.asarray(picture, dtype=np.float32), -1, 0)
    luma = 16 + (0.299 * red + 0.587 * green + 0.114 * blue) * 219 / 255
    u = 128 + (-0.168736 * red - 0.331264 * green + 0.5 * blue) * 224 / 255
    v = 128 + (0.5 * red - 0.418688 * green - 0.081312 * blue) * 224 / 255
    pairs = np.empty((SIZE[1], SIZE[0] // 2, 4), np.float32)
    pairs[..., 0], pairs[..., 2] = luma[:, 0::2], luma[:, 1::2]
    pairs[..., 1], pairs[..., 3] = (
        (u[:, 0::2] + u[:, 1::2]) / 2,
        (v[:, 0::2] + v[:, 1::2]) / 2,
    )
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
    album = folder / "album"
    album.mkdir(exist_ok=True)
    for number, share in enumerate(ALBUM_SHARES):
        close_up(photo, FACES["stranger"], share).save(album / f"{number}.jpg", quality=90)


if __name__ == "__main__":
    main()
