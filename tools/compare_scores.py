"""The same as ``semloss compare``."""

from pyskl_semloss.cli.compare_scores import main

if __name__ == "__main__":
    main()
