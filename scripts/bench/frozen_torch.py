"""An epoch of embedding and head on a frozen backbone's features in PyTorch: frozen_torch.py ROWS FEATURES CLASSES BATCH"""
import sys

import torch
from torch import nn
from torch.nn import functional

from networks_torch import DEVICE, EMBEDDING, finish
from peer import serve

rows, width, classes, size = map(int, sys.argv[1:])
torch.manual_seed(0)
features, labels = torch.rand(rows, width), torch.arange(rows) % classes
network = nn.Sequential(nn.Linear(width, EMBEDDING), nn.Linear(EMBEDDING, classes)).to(DEVICE)
adam = torch.optim.Adam(network.parameters(), lr=1e-3, fused=True)


def epoch():
    total = 0.0
    for chosen in torch.randperm(rows).split(size):
        adam.zero_grad(set_to_none=True)
        loss = functional.cross_entropy(network(features[chosen].to(DEVICE)), labels[chosen].to(DEVICE))
        loss.backward()
        adam.step()
        total += loss.item() * len(chosen)  # as ours, which stops where a loss is not finite
    finish()


epoch()
serve(epoch)
