"""Engines that run the exported graphs."""
