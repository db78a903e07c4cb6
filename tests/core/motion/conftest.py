"""Property tests without a clock: a busy machine is not a failure."""

from hypothesis import settings

settings.register_profile("motion", deadline=None, derandomize=True, max_examples=60)
settings.load_profile("motion")
