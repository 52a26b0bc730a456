"""What several test files share: sets, runs, servers, pages, and the folder of the checkout."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
"""The checkout."""
HEAVY = (
    "torch", "numba", "gensim", "matplotlib", "mmengine", "mmcv", "mmaction", "pyskl", "sklearn", "cv2", "mediapipe",
)  # fmt: skip
"""What `import pyskl_semloss` does not take with it."""
