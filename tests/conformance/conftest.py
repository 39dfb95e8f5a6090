"""Published weights for the points of a hyperparameter box that ask for them: tiny encoders in a temporary folder."""

from __future__ import annotations

from collections.abc import Iterator

import published_weights
import pytest


@pytest.fixture(scope="session", autouse=True)
def _published_weights(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        folder = published_weights.write(tmp_path_factory.mktemp("weights"))
        patch.setenv("FINML_WEIGHTS", str(published_weights.write_longformer(folder)))
        yield
