"""Takes the safeguard `WITHOUT` out of every process of a node: Python imports a module of this name when it starts."""

import os

from tests.coherence.weakened import weaken

weaken(os.environ["WITHOUT"])
