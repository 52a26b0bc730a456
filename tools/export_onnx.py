"""The same as ``semloss export``."""

from pyskl_semloss.cli.export_onnx import main

if __name__ == "__main__":
    main()
