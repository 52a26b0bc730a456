"""The same as ``semloss test``."""

from pyskl_semloss.cli.test import main

if __name__ == "__main__":
    main()
