"""The same as ``semloss label-vectors``."""

from pyskl_semloss.cli.build_label_vectors import main

if __name__ == "__main__":
    main()
