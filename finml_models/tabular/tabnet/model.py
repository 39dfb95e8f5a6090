"""TabNet (Arik and Pfister, AAAI 2021): columns chosen step by step. The network is that of the `pytorch-tabnet` library."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from pytorch_tabnet.metrics import UnsupervisedLoss
from pytorch_tabnet.tab_network import TabNetDecoder, TabNetNoEmbeddings
from torch import Tensor, nn

from finml_models.core.estimator import ignore
from finml_models.core.explanations import Attribution, Explanation
from finml_models.training.loop import Loop, seeded
from finml_models.training.plan import Group, Plan
from finml_models.training.torch_estimator import TorchEstimator

from .card import TabNetHyperparameters

if TYPE_CHECKING:
    from finml_models.core.batches import Batch
    from finml_models.core.estimator import OnProgress, Signature
    from finml_models.training.minibatch import Minibatch, Source, TableTensors

RATE = 20.0
"""Multiple of the configured learning rate: 0.02, the library's, where 1e-3 is our default."""
HIDDEN = 0.2
"""Share of the columns that pre-training hides, the library's."""
CAVEAT = (
    "A mask says which columns a step read, weighted by what the step gave to the answer; it does not say in which direction. Columns that say "
    "the same replace each other from seed to seed."
)


class Network(nn.Module):
    """Numbers and embedded categories through the library's encoder. Shape: values (b, f), codes (b, c) -> (b, classes).

    While training it answers logits and the negative entropy of the masks, which the loss wants.
    """

    def __init__(self, h: TabNetHyperparameters, s: Signature) -> None:
        super().__init__()
        # One number a category, the library's default; 0, unknown, is the zero that a mean category has after the batch norm.
        self.lookup = nn.ModuleList(nn.Embedding(size + 1, 1, padding_idx=0) for size in s.category_sizes)
        self.columns = s.features + len(s.category_sizes)
        self.body = TabNetNoEmbeddings(
            self.columns,
            len(s.classes),
            n_d=h.decision_width,
            n_a=h.attention_width,
            n_steps=h.steps,
            gamma=h.relaxation,
            n_independent=h.step_blocks,
            n_shared=h.shared_blocks,
            virtual_batch_size=h.virtual_batch,
            momentum=h.momentum,
            group_attention_matrix=torch.eye(self.columns),
        )
        # It is never called: the encoder has one of its own.
        del self.body.initial_bn
        # The library keeps it as a plain tensor, which would stay on the CPU.
        del self.body.encoder.group_attention_matrix
        self.body.encoder.register_buffer("group_attention_matrix", torch.eye(self.columns), persistent=False)
        if not h.sparse_masks:
            for chooser in self.body.encoder.att_transformers:
                chooser.selector = nn.Softmax(dim=-1)

    def forward(self, x: TableTensors) -> Tensor | tuple[Tensor, Tensor]:
        logits, concentration = self.body(self.inputs(x))
        return (logits, concentration) if self.training else logits

    def inputs(self, x: TableTensors) -> Tensor:
        """(b, columns) numbers, then embedded categories."""
        embedded = [] if x.codes is None else [table(x.codes[:, i]) for i, table in enumerate(self.lookup)]
        return torch.cat([x.values, *embedded], dim=1)

    def masks(self, x: TableTensors) -> Tensor:
        """(b, columns) the masks of all steps, each weighted by what its step decided (equation 7); a row sums to 1, or is 0 where no step decided."""
        weights, _ = self.body.forward_masks(self.inputs(x))
        return weights / weights.sum(dim=1, keepdim=True).clamp_min(1e-12)


class Pretraining(nn.Module):
    """The same encoder learns to restore hidden columns from the others (section 3.5 of the paper)."""

    def __init__(self, network: Network, h: TabNetHyperparameters) -> None:
        super().__init__()
        self.network = network
        self.decoder = TabNetDecoder(network.columns, n_d=h.decision_width, n_steps=h.steps, virtual_batch_size=h.virtual_batch, momentum=h.momentum)

    def forward(self, x: TableTensors) -> tuple[Tensor, Tensor, Tensor]:
        """Restored columns, the columns themselves, and which were hidden, (b, columns) each."""
        inputs = self.network.inputs(x)
        hidden = torch.bernoulli(torch.full_like(inputs, HIDDEN)) if self.training else torch.ones_like(inputs)
        # A hidden column has nothing to say, so no step may choose it; to validate, all columns are seen and all are restored.
        steps, _ = self.network.body.encoder(inputs * (1 - hidden), prior=1 - hidden) if self.training else self.network.body.encoder(inputs)
        return self.decoder(steps), inputs.detach(), hidden


class TabNet(TorchEstimator[TabNetHyperparameters]):
    """Sparse sequential attention over columns."""

    def network(self) -> nn.Module:
        return Network(self.hyperparameters, self.signature)

    def plan(self, network: nn.Module) -> Plan:
        return Plan((Group(list(network.parameters()), rate=RATE),))

    def loss(self, output: Any, batch: Minibatch) -> Tensor:
        """Cross-entropy, and while training `sparsity` × the entropy of the masks (equation 5)."""
        if not isinstance(output, tuple):
            return super().loss(output, batch)
        logits, concentration = output
        return super().loss(logits, batch) - self.hyperparameters.sparsity * concentration

    def pretrain(self, network: nn.Module, seen: Source, held: Source, on_progress: OnProgress = ignore) -> None:
        """`pretraining_epochs` of restoring hidden columns, without a label."""
        epochs = self.hyperparameters.pretraining_epochs
        if epochs:
            config = self.config.model_copy(update={"max_epochs": epochs, "patience": epochs})
            with seeded(self.config.seed, 0, stream="pretraining", device=torch.device("cpu")):
                learner = Pretraining(network, self.hyperparameters).to(next(network.parameters()).device)
            Loop(learner, lambda output, _: UnsupervisedLoss(*output), seen, held, config, on_progress, self.plan(learner)).run()

    def explain(self, batch: Batch) -> Explanation:
        """The masks of the steps, summed by what each step decided."""
        names = (*self.signature.feature_names, *self.signature.category_names)
        weights = self.read(batch, lambda network, rows: network.masks(rows), like=(len(names),))
        part = Attribution("features", names, weights, "share of the masks that lay on this column; a row sums to 1, or is 0 where no step decided anything")
        return Explanation("sparse masks (Arik and Pfister 2021, equation 7)", CAVEAT, (part,))
