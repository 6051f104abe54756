"""Small seeded writers of slide files for tests, demo and benchmarks; every identifier they plant is listed."""

from writers.aperio import write_aperio
from writers.generic import write_generic_tiff
from writers.packs import write_pack
from writers.planted import Planted

__all__ = ["Planted", "write_aperio", "write_generic_tiff", "write_pack"]
