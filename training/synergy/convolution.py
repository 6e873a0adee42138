"""The convolution that training uses: PyG's. Only training imports this, for importing PyG takes seconds."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from torch import nn
from torch_geometric.nn import SAGEConv


def sage_convolution(dim: int) -> nn.Module:
    """PyG's ``SAGEConv`` of one width.

    For each class of convolutions, PyG writes a Python module into the folder of temporary files, loads it and leaves
    it there. Here it is removed once it is loaded.
    """
    writes_no_bytecode, sys.dont_write_bytecode = sys.dont_write_bytecode, True  # which would stay there too
    try:
        layer: nn.Module = SAGEConv(dim, dim)
    finally:
        sys.dont_write_bytecode = writes_no_bytecode
    name = SAGEConv.propagate.__module__
    if name.startswith(f"{SAGEConv.__module__}_"):  # else it could not be written, and PyG does without
        written = Path(sys.modules[name].__file__ or "")
        if written.parent == Path(tempfile.gettempdir()) and written.name.startswith(f"{name}_"):
            written.unlink(missing_ok=True)
    return layer
