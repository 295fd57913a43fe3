"""
The project's networks in PyTorch, up to logits: resnet50 and small; on the device that SUBTAXA_BENCH_DEVICE says, with as
many threads as OMP_NUM_THREADS says.
"""
import os

import torch
from torch import nn
from torch.nn import functional
from torchvision.models import resnet50 as torchvision_resnet50

EMBEDDING = 256
# A device that is not there is an error: a GPU is compared with a GPU.
DEVICE = torch.device(os.environ.get("SUBTAXA_BENCH_DEVICE", "cpu"))


def resnet50(classes):
    """As in Keras Applications: a stage's stride is in its first 1 × 1 convolution."""
    network = torchvision_resnet50(weights=None)
    for stage in (network.layer2, network.layer3, network.layer4):
        stage[0].conv1.stride, stage[0].conv2.stride = (2, 2), (1, 1)
    network.fc = nn.Sequential(nn.Linear(2048, EMBEDDING), nn.Linear(EMBEDDING, classes))
    return network


class Block(nn.Module):
    def __init__(self, channels, filters, stride):
        super().__init__()
        self.first = nn.Conv2d(channels, filters, 3, stride, 1, bias=False)
        self.first_norm = nn.BatchNorm2d(filters)
        self.second = nn.Conv2d(filters, filters, 3, 1, 1, bias=False)
        self.second_norm = nn.BatchNorm2d(filters)
        self.shortcut = nn.Sequential()
        if stride != 1 or channels != filters:
            self.shortcut = nn.Sequential(
                nn.Conv2d(channels, filters, 1, stride, bias=False), nn.BatchNorm2d(filters)
            )

    def forward(self, x):
        y = functional.relu(self.first_norm(self.first(x)), inplace=True)
        y = self.second_norm(self.second(y))
        return functional.relu(y + self.shortcut(x), inplace=True)


def small(classes):
    return nn.Sequential(
        nn.Conv2d(3, 16, 3, 2, 1, bias=False),
        nn.BatchNorm2d(16),
        nn.ReLU(inplace=True),
        Block(16, 16, 1),
        Block(16, 32, 2),
        Block(32, 64, 2),
        Block(64, 64, 1),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(64, EMBEDDING),
        nn.Linear(EMBEDDING, classes),
    )


def build(name, classes):
    torch.manual_seed(0)
    network = {"resnet50": resnet50, "small": small}[name](classes)
    return network.to(DEVICE, memory_format=torch.channels_last)


def batch(count, side, classes):
    images = torch.randn(count, 3, side, side).to(DEVICE, memory_format=torch.channels_last)
    return images, (torch.arange(count) % classes).to(DEVICE)


def finish():
    """Until the device has done all that it was told to."""
    if DEVICE.type == "cuda":
        torch.cuda.synchronize()
