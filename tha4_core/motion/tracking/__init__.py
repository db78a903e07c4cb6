"""Tracked faces and MikuMikuDance motions: their files, and the poses that they become."""
