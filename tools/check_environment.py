"""The same as ``semloss check``."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from pyskl_semloss.cli.check_environment import main

if __name__ == "__main__":
    main()
