"""The same as ``semloss layouts``."""

from pyskl_semloss.cli.draw_skeletons import main

if __name__ == "__main__":
    main()
