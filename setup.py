"""Packaging: a light core, and one extra for each host."""

import re
from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent
VERSION = re.search(r'__version__ = "(.+)"', (HERE / "pyskl_semloss" / "__init__.py").read_text(encoding="utf-8"))[1]

setup(
    name="pyskl_semloss",
    version=VERSION,
    description="Joint skeletal and semantic embedding loss for micro-gesture recognition, on MMAction2 and PySKL",
    long_description=(HERE / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    python_requires=">=3.10",
    packages=find_packages(include=["pyskl_semloss", "pyskl_semloss.*"]),
    package_data={
        # Configs and data are links to the folders of the checkout, and files in the wheel and the sdist.
        "pyskl_semloss": [
            "py.typed",
            ".mim/*.yml",
            ".mim/configs/*/*.yml",
            ".mim/configs/*/*/*.py",
            ".mim/configs/*/*/*.yml",
            ".mim/data/*.txt",
        ],
        **{f"pyskl_semloss.{name}": ["assets/*"] for name in ("drawing", "report", "app")},
    },
    entry_points={"console_scripts": ["semloss = pyskl_semloss.cli.main:main"]},
    install_requires=["numpy>=1.23", "numba>=0.58", "packaging>=21", "scipy>=1.9"],
    extras_require={
        "mmaction2": [
            "torch>=2.6",
            "mmengine>=0.10.5,<1",
            "mmcv-lite>=2.0.1,<2.1",
            "mmaction2>=1.1,<1.2",
            "setuptools<80",
        ],
        "pyskl": ["torch>=2.6", "numpy<2", "mmcv>=1.4.8,<2"],
        "glove": ["gensim>=4.3"],
        "text": ["sentence-transformers>=3"],
        "elan": ["pympi-ling>=1.71,<2"],
        "video": ["mediapipe==0.10.21", "numpy<2", "opencv-contrib-python<4.12"],
        "app": ["nicegui>=3,<4", "plotly>=6,<8", "pympi-ling>=1.71,<2"],
        "report": ["plotly>=6,<8"],
        "onnx": ["onnx>=1.16", "onnxruntime>=1.17"],
        "dev": [
            "gensim>=4.3",
            "hypothesis",
            "mypy",
            "pre-commit",
            "pympi-ling>=1.71,<2",
            "pytest",
            "ruff",
            "scikit-learn",
            "webvtt-py",
        ],
    },
)
