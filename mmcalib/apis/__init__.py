"""What programs call: train a config, publish the result, predict with it."""

from mmcalib.apis.inferencer import Inferencer
from mmcalib.apis.publish import publish
from mmcalib.apis.train import train

__all__ = ['Inferencer', 'publish', 'train']
