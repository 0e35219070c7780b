"""For all tests."""

import os

# small arrays only lose time on several threads; before anything that reads it is imported
os.environ.setdefault("OMP_NUM_THREADS", "1")

from hypothesis import settings

# how long an example takes says more about the machine than about the code
settings.register_profile("impose", deadline=None)
settings.load_profile("impose")
