"""Decode audio and video files; nothing here knows about data sets."""
