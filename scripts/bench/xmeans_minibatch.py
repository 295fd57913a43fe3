"""
scikit-learn's MiniBatchKMeans for k = 1 … LIMIT on a file of float32 rows, of which the Bayesian information criterion of
a spherical mixture with one shared variance chooses (Pelleg & Moore 2000, the penalty counted once); the labels of each
round go to a file of int32: xmeans_minibatch.py FILE DIMENSION LIMIT LABELS
"""
import sys

import numpy
from sklearn.cluster import MiniBatchKMeans

from peer import serve

path, dimension, limit, labels_path = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
data = numpy.fromfile(path, dtype=numpy.float32).reshape(-1, dimension)
SAMPLE = 16_384  # as many rows as ours takes the effective dimension from


def criterion(model, effective):
    rows = len(data)
    sizes = numpy.bincount(model.labels_)
    sizes = sizes[sizes > 0]
    freedom = effective * (rows - len(sizes))
    likelihood = (
        (sizes * numpy.log(sizes / rows)).sum()
        - rows * effective / 2 * numpy.log(2 * numpy.pi * model.inertia_ / freedom)
        - freedom / 2
    )
    return likelihood - len(sizes) * (effective + 1) / 2 * numpy.log(rows)


def work():
    # Effective dimension: participation ratio of the covariance spectrum.
    sample = data[numpy.random.default_rng(0).choice(len(data), SAMPLE, replace=False)]
    covariance = numpy.cov(sample, rowvar=False, dtype=numpy.float32)
    effective = numpy.trace(covariance) ** 2 / (covariance**2).sum()
    models = [MiniBatchKMeans(k, random_state=0).fit(data) for k in range(1, limit + 1)]
    return max(models, key=lambda model: criterion(model, effective))


serve(work, lambda model: model.labels_.astype(numpy.int32).tofile(labels_path))
