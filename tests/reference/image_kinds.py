"""Writes tests/data/images-kinds: one tiny file of every kind of JPEG and PNG that we read, and
expected.txt with a line each: name, width, height, CRC-32 of the RGB bytes that Pillow reads.

Run with Pillow and NumPy: python tests/reference/image_kinds.py
"""

import io
import pathlib
import struct
import zlib

import numpy as np
from PIL import Image

HERE = pathlib.Path(__file__).parent
OUT = HERE.parent / "data" / "images-kinds"
WIDTH, HEIGHT = 19, 13
ADAM7 = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]


def picture(channels, top=255):
    """Smooth colours with some noise, [HEIGHT, WIDTH, channels], up to `top`."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    rng = np.random.default_rng(7)
    planes = [0.5 + 0.4 * np.sin(x / (3 + c) + y / (2 + c) + c) for c in range(channels)]
    noisy = np.stack(planes, -1) + rng.normal(0, 0.05, (HEIGHT, WIDTH, channels))
    return np.rint(noisy.clip(0, 1) * top).astype(np.int64)


def packed(samples, depth):
    """Filter byte and packed samples of each row; empty for an image without pixels."""
    if samples.size == 0:
        return b""
    rows = b""
    for row in samples.reshape(samples.shape[0], -1):
        if depth == 16:
            data = row.astype(">u2").tobytes()
        else:
            bits = (row[:, None] >> np.arange(depth - 1, -1, -1)) & 1
            data = np.packbits(bits.astype(np.uint8).ravel()).tobytes()
        rows += b"\0" + data
    return rows


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(samples, depth, colour, *chunks, interlaced=False):
    """A PNG file from samples [height, width, channels]."""
    height, width = samples.shape[:2]
    if interlaced:
        data = b"".join(packed(samples[y::dy, x::dx], depth) for x, y, dx, dy in ADAM7)
    else:
        data = packed(samples, depth)
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, int(interlaced))
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + b"".join(chunks)
        + chunk(b"IDAT", zlib.compress(data, 9))
        + chunk(b"IEND", b"")
    )


def jpeg(mode, **options):
    channels = {"L": 1, "RGB": 3, "CMYK": 4}[mode]
    pixels = picture(channels).astype(np.uint8)
    out = io.BytesIO()
    Image.fromarray(pixels[:, :, 0] if channels == 1 else pixels, mode).save(out, "JPEG", **options)
    return out.getvalue()


def as_ycck(cmyk):
    """The same bytes, said to be YCCK in the Adobe marker."""
    at = cmyk.index(b"Adobe") + 11
    return cmyk[:at] + b"\x02" + cmyk[at + 1 :]


def kinds():
    rng = np.random.default_rng(3)
    palette = rng.integers(0, 256, 3 * 256, dtype=np.uint8).tobytes()
    turned = Image.Exif()
    turned[0x0112] = 6

    yield "grey.jpg", jpeg("L")
    yield "ycbcr-444.jpg", jpeg("RGB", subsampling=0, quality=90)
    yield "ycbcr-422.jpg", jpeg("RGB", subsampling=1)
    yield "ycbcr-420.jpg", jpeg("RGB", subsampling=2)
    yield "rgb.jpg", jpeg("RGB", keep_rgb=True)
    yield "cmyk.jpg", jpeg("CMYK")
    yield "ycck.jpg", as_ycck(jpeg("CMYK"))
    yield "progressive.jpg", jpeg("RGB", progressive=True)
    yield "progressive-grey.jpg", jpeg("L", progressive=True)
    yield "progressive-cmyk.jpg", jpeg("CMYK", progressive=True)
    yield "restarts.jpg", jpeg("RGB", restart_marker_blocks=1)
    yield "turned.jpg", jpeg("RGB", exif=turned)

    for depth in (1, 2, 4, 8, 16):
        yield f"grey-{depth}.png", png(picture(1, 2**depth - 1), depth, 0)
        yield f"grey-{depth}-interlaced.png", png(picture(1, 2**depth - 1), depth, 0, interlaced=True)
    yield "grey-16-dark.png", png(picture(1, 400), 16, 0)
    yield "grey-8-trns.png", png(picture(1), 8, 0, chunk(b"tRNS", struct.pack(">H", 128)))
    for depth in (1, 2, 4, 8):
        colours = chunk(b"PLTE", palette[: 3 * 2**depth])
        alpha = chunk(b"tRNS", bytes(range(2**depth)))
        yield f"palette-{depth}.png", png(picture(1, 2**depth - 1), depth, 3, colours)
        yield f"palette-{depth}-trns.png", png(picture(1, 2**depth - 1), depth, 3, colours, alpha)
    yield "palette-interlaced.png", png(picture(1), 8, 3, chunk(b"PLTE", palette), interlaced=True)
    yield "palette-short.png", png(picture(1, 7), 8, 3, chunk(b"PLTE", palette[:12]))
    for depth in (8, 16):
        top = 2**depth - 1
        yield f"grey-alpha-{depth}.png", png(picture(2, top), depth, 4)
        yield f"rgb-{depth}.png", png(picture(3, top), depth, 2)
        yield f"rgb-{depth}-interlaced.png", png(picture(3, top), depth, 2, interlaced=True)
        yield f"rgba-{depth}.png", png(picture(4, top), depth, 6)
    yield "rgb-trns.png", png(picture(3), 8, 2, chunk(b"tRNS", struct.pack(">HHH", 9, 9, 9)))
    yield "rgb-gamma.png", png(picture(3), 8, 2, chunk(b"gAMA", struct.pack(">I", 100000)))
    yield "one-pixel-interlaced.png", png(picture(3)[:1, :1], 8, 2, interlaced=True)


def main():
    OUT.mkdir(exist_ok=True)
    lines = []
    for name, data in kinds():
        (OUT / name).write_bytes(data)
        image = Image.open(io.BytesIO(data)).convert("RGB")
        lines.append(f"{name} {image.width} {image.height} {zlib.crc32(image.tobytes()):08x}")
    (OUT / "expected.txt").write_text("\n".join(lines) + "\n")


main()
