"""The same as ``semloss fuse``."""

from pyskl_semloss.cli.fuse_scores import main

if __name__ == "__main__":
    main()
