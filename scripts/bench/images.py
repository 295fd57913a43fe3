"""Draws smooth textures as JPEG files, two class folders: images.py FOLDER COUNT WIDTH HEIGHT MODE (L: grey, RGB)"""
import pathlib
import sys

import numpy
from PIL import Image

folder, count, width, height = pathlib.Path(sys.argv[1]), *map(int, sys.argv[2:5])
colours = len(sys.argv[5])
generator = numpy.random.default_rng(0)


def texture():
    coarse = Image.fromarray(generator.integers(0, 256, (height // 10, width // 10), dtype=numpy.uint8))
    smooth = numpy.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC))
    return numpy.clip(smooth + generator.normal(0, 6, (height, width)), 0, 255).astype(numpy.uint8)


for index in range(count):
    path = folder / f"class{index % 2}" / f"{index:05}.jpg"
    path.parent.mkdir(parents=True, exist_ok=True)
    channels = [texture() for _ in range(colours)]
    Image.fromarray(channels[0] if colours == 1 else numpy.stack(channels, axis=-1)).save(path, quality=90)
