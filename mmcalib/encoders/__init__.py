"""Encoders: every module of this folder registers its component."""

from mmcalib.registry import discover

discover(__name__, __path__)
