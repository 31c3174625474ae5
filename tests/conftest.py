"""Makes the modules of this folder, such as ``samples``, importable from every test below it."""
