"""X-Means of pyclustering's C++ core on a file of float32 rows: xmeans.py FILE DIMENSION LIMIT"""
import random
import sys

import numpy
from pyclustering.cluster.center_initializer import kmeans_plusplus_initializer
from pyclustering.cluster.xmeans import xmeans

from peer import serve

path, dimension, limit = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
data = numpy.fromfile(path, dtype=numpy.float32).reshape(-1, dimension).astype(float).tolist()
random.seed(0)
numpy.random.seed(0)


def work():
    centres = kmeans_plusplus_initializer(data, 1).initialize()
    xmeans(data, centres, kmax=limit, ccore=True).process()


serve(work)
