"""Trains the network that finds heads, on made-up characters alone: `python -m tha4_core.demo.head_training`."""
