"""The same as ``semloss convert``."""

from pyskl_semloss.cli.convert_checkpoint import main

if __name__ == "__main__":
    main()
