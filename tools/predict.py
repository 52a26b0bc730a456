"""The same as ``semloss predict``."""

from pyskl_semloss.cli.predict import main

if __name__ == "__main__":
    main()
