"""
Import with torchvision and Pillow, a DataLoader whose workers stay: decode, pad with the border's median, resize with
antialiasing, compress the pixels of 16 images at a time, as ours, at level 1 of Python's own zlib or of Zstandard:
import.py FOLDER SIDE MODE (L: grey, RGB) WORKERS CODEC (zlib, zstd)
"""
import pathlib
import sys
import zlib

import numpy
import zstandard
from PIL import Image
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import functional

from peer import serve

folder, side, mode, workers = pathlib.Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3], int(sys.argv[4])
compress = (lambda pixels: zlib.compress(pixels, 1)) if sys.argv[5] == "zlib" else zstandard.ZstdCompressor(level=1).compress


class Prepared(Dataset):
    def __init__(self, paths):
        self.paths = paths

    def __len__(self):
        return len(self.paths)

    def __getitem__(self, index):
        image = Image.open(self.paths[index]).convert(mode)
        pixels = numpy.asarray(image)
        border = numpy.concatenate([pixels[0], pixels[-1], pixels[1:-1, 0], pixels[1:-1, -1]])
        longest = max(image.size)
        across, down = longest - image.width, longest - image.height
        padding = [across // 2, down // 2, across - across // 2, down - down // 2]
        colour = tuple(int(value) for value in numpy.atleast_1d(numpy.median(border, axis=0)))
        square = functional.pad(image, padding, fill=colour)
        if longest > side:
            square = functional.resize(square, [side, side], antialias=True)
        return square.tobytes()


def compressed(images):
    return compress(b"".join(images))


loader = DataLoader(
    Prepared(sorted(folder.rglob("*.jpg"))),
    batch_size=16,
    num_workers=workers,
    persistent_workers=True,
    multiprocessing_context="fork",
    collate_fn=compressed,
)


def run():
    with open(folder.parent / "peer.bin", "wb") as file:
        for batch in loader:
            file.write(batch)


run()  # starts the workers
serve(run)
