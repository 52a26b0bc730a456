"""The same as ``semloss poses``."""

from pyskl_semloss.cli.estimate_poses import main

if __name__ == "__main__":
    main()
