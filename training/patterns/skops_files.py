"""skops' reader and writer of scikit-learn objects, imported without torch."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any

# scikit-learn's wrappers of array libraries. Importing one imports its library.
_WRAPPERS = tuple(f"sklearn.externals.array_api_compat.{library}" for library in ("cupy", "dask", "torch"))


def _import_skops() -> Any:
    """``skops.io``, without the array libraries that it would import.

    To list the estimators that it trusts, skops imports every package of scikit-learn, the wrappers too. torch alone
    takes 2 s and 170 MB then, and no pattern model needs it. None in ``sys.modules`` makes an import fail, which the
    search for packages passes over. Afterwards the wrappers can be imported as ever.
    """
    kept_out = [name for name in _WRAPPERS if name not in sys.modules]
    for name in kept_out:
        sys.modules[name] = None  # type: ignore[assignment]
    try:
        return import_module("skops.io")
    finally:
        for name in kept_out:
            del sys.modules[name]


skops_io = _import_skops()
