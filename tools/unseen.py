"""The same as ``semloss unseen``."""

from pyskl_semloss.cli.unseen import main

if __name__ == "__main__":
    main()
