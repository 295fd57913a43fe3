"""
X-Means of pyclustering's C++ core on a file of float32 rows, which it gets in its own layout before the clock starts; the
labels of each round go to a file of int32: xmeans.py FILE DIMENSION LIMIT LABELS
"""
import ctypes
import random
import sys

import numpy
from pyclustering.cluster.center_initializer import kmeans_plusplus_initializer
from pyclustering.core.metric_wrapper import metric_wrapper
from pyclustering.core.pyclustering_package import package_builder, package_extractor, pyclustering_package
from pyclustering.core.wrapper import ccore_library
from pyclustering.utils.metric import distance_metric, type_metric

from peer import serve

path, dimension, limit, labels_path = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
data = numpy.fromfile(path, dtype=numpy.float32).reshape(-1, dimension).astype(float)
random.seed(0)
numpy.random.seed(0)

core = ccore_library.get()
core.xmeans_algorithm.restype = ctypes.POINTER(pyclustering_package)
samples = package_builder(data, ctypes.c_double).create()
metric = metric_wrapper.create_instance(distance_metric(type_metric.EUCLIDEAN_SQUARE))


def work():
    """What pyclustering.cluster.xmeans does with its defaults, but for what turns a list of the rows into `samples`."""
    centres = package_builder(kmeans_plusplus_initializer(data, 1).initialize(), ctypes.c_double).create()
    tolerance, bayesian, alpha, beta, repeat, no_seed = 0.001, 0, 0.9, 0.9, 1, -1
    return core.xmeans_algorithm(
        samples, centres, ctypes.c_size_t(limit), ctypes.c_double(tolerance), ctypes.c_uint(bayesian),
        ctypes.c_double(alpha), ctypes.c_double(beta), ctypes.c_size_t(repeat), ctypes.c_longlong(no_seed),
        metric.get_pointer(),
    )


def keep(package):
    labels = numpy.empty(len(data), dtype=numpy.int32)
    for cluster, rows in enumerate(package_extractor(package).extract()[0]):
        labels[rows] = cluster
    core.free_pyclustering_package(package)
    labels.tofile(labels_path)


serve(work, keep)
