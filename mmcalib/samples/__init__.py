"""Generators of small stand-in data sets, each in its benchmark's own format on disk."""
