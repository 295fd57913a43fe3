"""One train step in PyTorch, channels-last: train_torch.py NETWORK SIDE BATCH CLASSES"""
import sys

import torch
from torch.nn import functional

from networks_torch import batch, build, finish
from peer import serve

name, side, count, classes = sys.argv[1], *map(int, sys.argv[2:])
network = build(name, classes).train()
adam = torch.optim.Adam(network.parameters(), lr=1e-4, fused=True)
images, labels = batch(count, side, classes)


def step():
    adam.zero_grad(set_to_none=True)
    loss = functional.cross_entropy(network(images), labels)
    loss.backward()
    adam.step()
    loss.item()
    finish()


step()
serve(step)
