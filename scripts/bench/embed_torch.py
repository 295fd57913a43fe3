"""Embeddings of one batch by ResNet50 in PyTorch, channels-last, two threads, or a GPU where there is one: embed_torch.py SIDE BATCH"""
import sys

import torch

from networks_torch import batch, build
from peer import serve

side, count = map(int, sys.argv[1:])
torch.set_num_threads(2)
network = build("resnet50", 10).eval()
network.fc = network.fc[0]
images, _ = batch(count, side, 10)


@torch.inference_mode()
def step():
    network(images)


step()
serve(step)
