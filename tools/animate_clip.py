"""The same as ``semloss animate``."""

from pyskl_semloss.cli.animate_clip import main

if __name__ == "__main__":
    main()
