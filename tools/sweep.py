"""The same as ``semloss sweep``."""

from pyskl_semloss.cli.sweep import main

if __name__ == "__main__":
    main()
