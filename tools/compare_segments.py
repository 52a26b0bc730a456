"""The same as ``semloss compare-segments``."""

from pyskl_semloss.cli.compare_segments import main

if __name__ == "__main__":
    main()
