"""The same as ``semloss train``."""

from pyskl_semloss.cli.train import main

if __name__ == "__main__":
    main()
