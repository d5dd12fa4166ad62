"""Pictures from files, in the shape that a network takes."""

from pathlib import Path
from typing import Any

import numpy as np

# What red, green and blue add to brightness: ITU-R BT.601.
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)


def read_image(path: Path, shape: tuple[int, ...]) -> np.ndarray:
    """Read a picture as float32 (C, H, W) in 0 ... 1, made grey or coloured and resized to ``shape``.

    ``.npy`` files hold (H, W), (C, H, W) or (H, W, C), as uint8, uint16 or floats in 0 ... 1. Everything else
    is read by Pillow.

    Raises
    ------
    OSError
        If the file cannot be read or is not a picture.
    ValueError
        If its numbers are not those of a picture.
    ImportError
        If Pillow is needed and not installed.
    """
    array = _read_array(path) if path.suffix.lower() == ".npy" else _read_with_pillow(path)
    try:
        image = _planes(array)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    channels, height, width = shape
    return resize(_channels(image, channels), height, width)


def resize(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """Resize (C, H, W) with a triangle filter: it interpolates to enlarge, and takes means to reduce."""
    if image.shape[1:] == (height, width):
        return image
    return _triangles(image.shape[1], height) @ image @ _triangles(image.shape[2], width).T


def _triangles(size: int, new_size: int) -> np.ndarray:
    """The weights (new_size, size) of old pixels in new ones."""
    scale = size / new_size
    centres = (np.arange(new_size) + 0.5) * scale - 0.5
    weights = np.maximum(0, 1 - np.abs(np.arange(size) - centres[:, None]) / max(scale, 1))
    return (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)


def _read_array(path: Path) -> np.ndarray:
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file")
    try:
        # A map of the file, because a header may claim more than there is; never an object array.
        return np.array(np.lib.format.open_memmap(path, mode="r"))
    except (ValueError, EOFError) as error:
        raise ValueError(f"{path}: is not an array in numpy's format: {error}") from error


def _read_with_pillow(path: Path) -> np.ndarray:
    try:
        from PIL import Image, ImageOps
    except ImportError as error:
        raise ImportError(
            f"{path}: Pillow is needed to read pictures: pip install pillow (.npy files need none)"
        ) from error
    try:
        with Image.open(path) as file:
            return _pixels(ImageOps.exif_transpose(file))
    except (Image.DecompressionBombError, SyntaxError) as error:  # SyntaxError: how Pillow calls some damage
        raise ValueError(f"{path}: {error}") from error
    except OSError as error:
        if error.filename is not None:
            raise
        raise OSError(f"{path}: is not a picture that Pillow can read: {error}") from error


def _pixels(image: Any) -> np.ndarray:
    """The pixels of a Pillow image, palettes and rare colour spaces resolved."""
    if image.mode.startswith("I"):  # 16 bits, which Pillow opens as such or as 32
        return np.asarray(image).astype(np.uint16)
    if image.mode == "F":
        return np.asarray(image)
    if "A" in image.getbands() or "transparency" in image.info:
        return np.asarray(image.convert("RGBA"))
    return np.asarray(image.convert("L" if image.mode in ("1", "L") else "RGB"))


def _planes(array: np.ndarray) -> np.ndarray:
    """Float32 (C, H, W) in 0 ... 1, with 1 to 4 channels."""
    if array.ndim == 2:
        array = array[None]
    elif array.ndim == 3 and array.shape[0] > 4 and array.shape[2] <= 4:
        array = np.moveaxis(array, 2, 0)
    if array.ndim != 3 or not 1 <= array.shape[0] <= 4 or array.size == 0:
        raise ValueError(f"expects a picture (H, W), (C, H, W) or (H, W, C), got shape {array.shape}")
    if array.dtype in (np.uint8, np.uint16):
        return array.astype(np.float32) / np.float32(np.iinfo(array.dtype).max)
    if array.dtype.kind != "f" or not (array.min() >= 0 and array.max() <= 1):
        span = f" in {array.min()} ... {array.max()}" if array.dtype.kind in "fiu" else ""
        raise ValueError(f"expects uint8, uint16 or floats in 0 ... 1, got {array.dtype}{span}")
    return array.astype(np.float32)


def _channels(image: np.ndarray, channels: int) -> np.ndarray:
    """Lay what is transparent on white, then make the picture grey (1 channel) or coloured (3)."""
    if len(image) in (2, 4):
        alpha = image[-1:]
        image = image[:-1] * alpha + (1 - alpha)
    if len(image) == channels:
        return image
    if channels == 1:
        return np.tensordot(_LUMA, image, axes=1)[None]
    if channels == 3:
        return np.repeat(image, 3, axis=0)
    raise ValueError(f"pictures have 1 or 3 channels, but the network takes {channels}")
