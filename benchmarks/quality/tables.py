"""TabM and FT-Transformer beside their authors' packages, on the same weights and rows in double precision."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

import torch

from benchmarks.quality import Bar, NoData, Reached, Row
from finml_models.core.estimator import Signature
from finml_models.core.spec import Kind, Objective
from finml_models.tabular.ft_transformer.card import FTTransformerHyperparameters
from finml_models.tabular.ft_transformer.model import Network as FTTransformer
from finml_models.tabular.tabm.card import TabMHyperparameters
from finml_models.tabular.tabm.model import Network as TabM
from finml_models.training.minibatch import TableTensors

if TYPE_CHECKING:
    import rtdl_revisiting_models
    import tabm

SIZES = (3, 5)
FEATURES = 4


def signature(classes: int = 2) -> Signature:
    """Four numbers and two categories."""
    return Signature(
        kind=Kind.TABLE,
        objective=Objective.CLASSIFY,
        feature_names=tuple(f"x{i}" for i in range(FEATURES)),
        classes=tuple(f"k{i}" for i in range(classes)),
        category_names=tuple(f"c{i}" for i in range(len(SIZES))),
        category_sizes=SIZES,
    )


def batch(rows: int = 64) -> TableTensors:
    """Normal numbers and known categories."""
    generator = torch.Generator().manual_seed(1)
    codes = torch.stack([torch.randint(1, size + 1, (rows,), generator=generator) for size in SIZES], dim=1)
    return TableTensors(torch.randn(rows, FEATURES, generator=generator).double(), codes)


def moved(network: torch.nn.Module) -> None:
    """Away from the weights of the start, among which are zeros and ones."""
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))


def tabm_copy(own: TabM, other: tabm.TabM) -> tabm.TabM:
    """The package's model with our weights; both in double precision, so that rounding hides no difference."""
    with torch.no_grad():
        for mine, theirs in zip(own.blocks, other.backbone.blocks, strict=True):
            for name in ("weight", "r", "s", "bias"):
                getattr(theirs[0], name).copy_(getattr(mine, name))
        other.output.weight.copy_(own.heads.weight)
        other.output.bias.copy_(own.heads.bias)
    own.double()
    return other.double().eval()


def ft_transformer_copy(own: FTTransformer, other: rtdl_revisiting_models.FTTransformer) -> rtdl_revisiting_models.FTTransformer:
    """The package's model with our weights; both in double precision, so that rounding hides no difference."""
    with torch.no_grad():
        other.cls_embedding.weight.copy_(own.tokens.start)
        other.cont_embeddings.weight.copy_(own.tokens.weight)
        other.cont_embeddings.bias.copy_(own.tokens.bias[:FEATURES])
        for mine, theirs in zip(own.tokens.lookup, other.cat_embeddings.embeddings, strict=True):
            theirs.weight.copy_(mine.weight[1:])
        other.cat_embeddings.bias.copy_(own.tokens.bias[FEATURES:])
        for i, (mine, theirs) in enumerate(zip(own.blocks, other.backbone.blocks, strict=True)):
            pairs = {
                "attention.W_q": mine.attention.query,
                "attention.W_k": mine.attention.key,
                "attention.W_v": mine.attention.value,
                "attention.W_out": mine.attention.out,
                "ffn.linear1": mine.wide,
                "ffn.linear2": mine.narrow,
                "ffn_normalization": mine.norm2,
            }
            for name, layer in ({"attention_normalization": mine.norm1, **pairs} if i else pairs).items():
                theirs.get_submodule(name).load_state_dict(layer.state_dict())
        other.backbone.output.normalization.load_state_dict(own.norm.state_dict())
        other.backbone.output.linear.load_state_dict(own.head.state_dict())
    own.double()
    return other.double().eval()


def tabm_twins(classes: int = 2, *, members: int = 5, blocks: int = 3) -> tuple[TabM, tabm.TabM]:
    """Our network and the package's on equal weights, without embedded numbers."""
    import tabm

    torch.manual_seed(0)
    own = TabM(TabMHyperparameters(width=32, members=members, blocks=blocks, dropout=0.0, embedding="none"), signature(classes)).eval()
    moved(own)
    shape: dict[str, Any] = {"n_num_features": FEATURES, "cat_cardinalities": list(SIZES), "d_out": classes, "k": members, "n_blocks": blocks, "d_block": 32}
    return own, tabm_copy(own, tabm.TabM(**shape, dropout=0.0, arch_type="tabm", start_scaling_init="random-signs"))


def ft_transformer_twins(
    classes: int = 2, *, heads: int = 2, blocks: int = 3, feedforward: float = 4 / 3
) -> tuple[FTTransformer, rtdl_revisiting_models.FTTransformer]:
    """Our network and the package's on equal weights."""
    import rtdl_revisiting_models

    torch.manual_seed(0)
    own = FTTransformer(FTTransformerHyperparameters(heads=heads, head_width=8, blocks=blocks, feedforward=feedforward), signature(classes)).eval()
    moved(own)
    with torch.no_grad():
        for table in own.tokens.lookup:
            table.weight[0] = 0.0
    other = rtdl_revisiting_models.FTTransformer(
        n_cont_features=FEATURES,
        cat_cardinalities=list(SIZES),
        d_out=classes,
        n_blocks=blocks,
        d_block=8 * heads,
        attention_n_heads=heads,
        attention_dropout=0.2,
        ffn_d_hidden_multiplier=feedforward,
        ffn_dropout=0.1,
        residual_dropout=0.0,
    )
    return own, ft_transformer_copy(own, other)


def difference(model: str, seed: int) -> Reached:
    """The largest one between the two networks' answers; no seed enters."""
    del seed
    try:
        own, other = {"tabm": tabm_twins, "ft_transformer": ft_transformer_twins}[model]()
    except ModuleNotFoundError as absent:
        raise NoData(f"the package {absent.name} is not installed: make install") from absent
    x = batch()
    with torch.inference_mode():
        return Reached(float((own(x) - other(x.values, x.codes - 1)).abs().max()))


def rows() -> Iterator[Row]:
    """Differences, which should be none."""
    exact = Bar("≤ 1e-10", lambda value: value <= 1e-10)
    of = "largest difference to its authors' package on equal weights"
    yield Row("tabm_parity", f"TabM, {of}", partial(difference, "tabm"), 0.0, exact, "tabm")
    yield Row("ft_transformer_parity", f"FT-Transformer, {of}", partial(difference, "ft_transformer"), 0.0, exact, "rtdl_revisiting_models")
