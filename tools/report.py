"""The same as ``semloss report``."""

from pyskl_semloss.cli.report import main

if __name__ == "__main__":
    main()
