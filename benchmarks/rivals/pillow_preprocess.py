"""Times Pillow for what benchmarks/image/preprocess_bench.cpp does, on one core: decode a photo
from memory, convert to RGB, resize the shortest side to 224 with BICUBIC, cut out the centre.

usage: pillow_preprocess.py FOLDER_OF_PHOTOS
"""

import io
import pathlib
import statistics
import sys
import time

import PIL
from PIL import Image, features

SIDE = 224
PASSES = 5


def resize_and_crop(image):
    short = min(image.size)
    width, height = (SIDE if side == short else int(SIDE * side / short) for side in image.size)
    image = image.resize((width, height), Image.BICUBIC)
    left, top = round((width - SIDE) / 2), round((height - SIDE) / 2)
    return image.crop((left, top, left + SIDE, top + SIDE))


def one_pass(files):
    """Seconds of decoding, and of resizing and cropping."""
    decoding = resizing = 0.0
    for data in files:
        begin = time.perf_counter()
        image = Image.open(io.BytesIO(data)).convert("RGB")
        between = time.perf_counter()
        resize_and_crop(image)
        decoding += between - begin
        resizing += time.perf_counter() - between
    return decoding, resizing


def main():
    files = [path.read_bytes() for path in sorted(pathlib.Path(sys.argv[1]).iterdir())]
    one_pass(files)
    passes = [one_pass(files) for _ in range(PASSES)]
    decoding, resizing, both = (
        statistics.median(of) for of in zip(*((d, r, d + r) for d, r in passes))
    )
    turbo = features.version("libjpeg_turbo") or "another libjpeg"
    print(f"Pillow {PIL.__version__}, libjpeg-turbo {turbo}, {len(files)} photos")
    for what, seconds in (
        ("decode", decoding),
        ("resize_crop", resizing),
        ("decode_resize_crop", both),
    ):
        print(f"{what:20} {1000 * seconds / len(files):6.3f} ms  {len(files) / seconds:7.1f} images/s")


main()
