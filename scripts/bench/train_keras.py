"""One train step of ResNet50 in Keras on TensorFlow, compiled: train_keras.py SIDE BATCH CLASSES"""
import os
import sys

os.environ.update(TF_ENABLE_ONEDNN_OPTS="1", TF_CPP_MIN_LOG_LEVEL="2", KERAS_BACKEND="tensorflow")
import keras
import numpy

from peer import serve

side, count, classes = map(int, sys.argv[1:])
keras.utils.set_random_seed(0)
backbone = keras.applications.ResNet50(include_top=False, weights=None, input_shape=(side, side, 3), pooling="avg")
embedding = keras.layers.Dense(256)(backbone.output)
model = keras.Model(backbone.input, keras.layers.Dense(classes)(embedding))
model.compile(keras.optimizers.Adam(1e-4), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
images = numpy.random.default_rng(0).normal(size=(count, side, side, 3)).astype("float32")
labels = numpy.arange(count) % classes


def step():
    model.train_on_batch(images, labels)


step()
serve(step)
