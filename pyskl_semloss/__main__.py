"""``python -m pyskl_semloss``: the command ``semloss``."""

from pyskl_semloss.cli.main import main

if __name__ == "__main__":
    main()
