# Cython takes a folder for a package by this file.
