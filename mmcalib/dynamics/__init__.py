"""Measures of how a multimodal model trains; they read a model and change nothing."""
