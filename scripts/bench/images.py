"""Draws smooth grey textures as JPEG files, two class folders: images.py FOLDER COUNT WIDTH HEIGHT"""
import pathlib
import sys

import numpy
from PIL import Image

folder, count, width, height = pathlib.Path(sys.argv[1]), *map(int, sys.argv[2:])
generator = numpy.random.default_rng(0)
for index in range(count):
    coarse = generator.integers(0, 256, (height // 10, width // 10), dtype=numpy.uint8)
    fine = generator.normal(0, 6, (height, width))
    texture = numpy.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)) + fine
    path = folder / f"class{index % 2}" / f"{index:05}.jpg"
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(numpy.clip(texture, 0, 255).astype(numpy.uint8)).save(path, quality=90)
