"""The same as ``semloss prepare``."""

from pyskl_semloss.cli.prepare_data import main

if __name__ == "__main__":
    main()
