"""Graph networks that a host lacks, as torch modules with the state dicts of PySKL's.

Inputs and outputs are the hosts'. In between, features are (N, C, V, T) = clip, channel, joint, frame, so that the
frames of a joint lie side by side.
"""

from pyskl_semloss.gcn.ctrgcn import CTRGCN
from pyskl_semloss.gcn.dgstgcn import DGSTGCN

__all__ = ["CTRGCN", "DGSTGCN"]
