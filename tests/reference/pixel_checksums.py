"""Writes tests/data/pixel-checksums.txt: for every image of a folder, its file name, the CRC-32 of
its RGB bytes, and the CRC-32 of CLIP's 224 x 224 crop of it, as Pillow makes them.

Run with Pillow: python tests/reference/pixel_checksums.py FOLDER
"""

import pathlib
import sys
import zlib

from PIL import Image

OUT = pathlib.Path(__file__).parent.parent / "data" / "pixel-checksums.txt"
SIDE = 224


def crop(image):
    """Shortest side to SIDE, longer side cut to whole pixels; then the centre.

    Two calls for the two passes: Pillow 13 would take the vertical one first for some tall images,
    earlier versions never do.
    """
    short, long = sorted(image.size)
    width, height = (SIDE if side == short else int(SIDE * side / short) for side in image.size)
    image = image.resize((width, image.height), Image.BICUBIC).resize((width, height), Image.BICUBIC)
    left, top = round((width - SIDE) / 2), round((height - SIDE) / 2)
    return image.crop((left, top, left + SIDE, top + SIDE))


def main():
    lines = []
    for path in sorted(pathlib.Path(sys.argv[1]).iterdir()):
        image = Image.open(path).convert("RGB")
        whole, part = (zlib.crc32(pixels.tobytes()) for pixels in (image, crop(image)))
        lines.append(f"{path.name} {whole:08x} {part:08x}")
    OUT.write_text("\n".join(lines) + "\n")


main()
