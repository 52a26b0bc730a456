"""The same as ``semloss app``."""

from pyskl_semloss.cli.app import main

if __name__ == "__main__":
    main()
