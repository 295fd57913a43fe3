"""Import as Pillow does it in two processes: decode, pad with the border's median, reduce, deflate: import.py FOLDER SIDE"""
import multiprocessing
import pathlib
import sys
import zlib

import numpy
from PIL import Image

from peer import serve

folder, side = pathlib.Path(sys.argv[1]), int(sys.argv[2])


def prepare(path):
    image = Image.open(path).convert("L")
    pixels = numpy.asarray(image)
    border = numpy.concatenate([pixels[0], pixels[-1], pixels[1:-1, 0], pixels[1:-1, -1]])
    longest = max(image.size)
    square = Image.new("L", (longest, longest), int(numpy.median(border)))
    square.paste(image, ((longest - image.width) // 2, (longest - image.height) // 2))
    if longest > side:
        square = square.resize((side, side), Image.Resampling.BOX)
    return zlib.compress(square.tobytes(), 1)


if __name__ == "__main__":
    paths = sorted(folder.rglob("*.jpg"))
    with multiprocessing.Pool(2) as pool:
        serve(lambda: (folder.parent / "peer.bin").write_bytes(b"".join(pool.imap(prepare, paths, chunksize=32))))
