"""Calibrate modality features before fusion: encoders -> calibrator -> fuser -> head."""

__version__ = '0.1.0'
