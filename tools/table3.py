"""The same as ``semloss table3``."""

from pyskl_semloss.cli.table3 import main

if __name__ == "__main__":
    main()
