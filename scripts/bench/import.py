"""
Import with torchvision and Pillow, a DataLoader of two workers: decode, pad with the border's median, resize with
antialiasing, deflate at the fastest level: import.py FOLDER SIDE MODE (L: grey, RGB)
"""
import pathlib
import sys
import zlib

import numpy
from PIL import Image
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import functional

from peer import serve

folder, side, mode = pathlib.Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]


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
        return zlib.compress(square.tobytes(), 1)


def run():
    loader = DataLoader(Prepared(sorted(folder.rglob("*.jpg"))), batch_size=32, num_workers=2, collate_fn=b"".join)
    with open(folder.parent / "peer.bin", "wb") as file:
        for batch in loader:
            file.write(batch)


if __name__ == "__main__":
    serve(run)
