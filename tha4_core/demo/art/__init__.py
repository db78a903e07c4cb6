"""The demo character's drawing. `draw` makes `../layers` from it and needs skia-python; nothing else does."""
