"""Model: a forward graph, its parameters' values, and the data set it is meant for."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from hashlib import sha256
from math import prod

import numpy as np

from workbench.data import Data, Network, Samples
from workbench.errors import ModelError, PolicyError, meant
from workbench.frontends.origin import Origin
from workbench.frontends.summary import summary
from workbench.ir import op as ops
from workbench.ir.build import Value
from workbench.ir.graph import Graph
from workbench.ir.rewrite import without_dead_code
from workbench.ir.verify import verify
from workbench.objective import CROSS_ENTROPY, INPUT, LABELS, MSE, VALUES, Objective, objective
from workbench.policy import AS_GIVEN, HELP, RESERVED, TERMS, UpdatePolicy, parse_policy

PLANNED_AT_ONCE = 60  # nodes up to which a display tells estimates too
LARGEST_TENSOR = 1 << 24  # elements: as int8, all the SRAM that any board has
GIVEN = "given"  # where weights are from that came as arrays


@dataclass(frozen=True, repr=False)
class Model:
    """`graph` is the forward pass, one input to one output; `weights` hold every parameter by name.

    `data` is the data set the network is meant for, by name or as samples (None: it has none); `about` says to a person
    what the network is.
    `weights_from` names the file its weights were loaded from (GIVEN: no file; None: they are the network's own);
    `pretrained` tells how they were trained before this (None: not at all), as run.json has it (see
    pretraining.pretrain). `policies` are the ones published with it, by name, and as-given (see
    policy.as_given) where it says itself which parameters it trains. `unquantized` is the float32
    network that an int8 one was made of, as it was. `notes` are lines about how it was read that its user should know.
    `drawn` is the digest of the random weights that a float32 network was begun with (None: they came from elsewhere).
    `origin`: the file or module that it was read from, and the way back (None: it is one of ours).
    """

    name: str
    graph: Graph
    weights: Mapping[str, np.ndarray]
    data: str | Data | Samples | None
    about: str
    weights_from: str | None = None
    pretrained: dict | None = None
    policies: Mapping[str, UpdatePolicy] = field(default_factory=dict)
    source: str | None = None
    inference: Graph | None = None
    unquantized: "Model | None" = None
    notes: tuple[str, ...] = ()
    drawn: str | None = None
    origin: Origin | None = None

    def __repr__(self) -> str:
        """A line about it and a row a layer, however many weights it has."""
        return summary(self)

    def _repr_html_(self) -> str:
        """What `workbench inspect` tells, for notebooks; of a big one the layers alone, for plans take seconds."""
        import workbench  # its public names stand to the right of all stages

        return workbench.inspect(self, None if len(self.graph.nodes) < PLANNED_AT_ONCE else ())._repr_html_()

    def policy(self, text: str | UpdatePolicy) -> UpdatePolicy:
        """The network's own policy of this name, or the one that `text` writes out. Raises PolicyError."""
        if not isinstance(text, str):
            return parse_policy(text)
        own = self.policies.get(text)
        if text == AS_GIVEN and own is None:
            whole = self.unquantized
            hint = f"{whole.name}, which it was made of, does" if whole and AS_GIVEN in whole.policies else HELP
            raise PolicyError(f"{self.name} does not say which parameters it trains: it has no policy {text}", hint)
        if self.published and own is None and re.fullmatch(r"[\w-]+", text) and not self._is_policy(text):
            hint = f"{meant(text, [*self.policies, *TERMS])}its own are {', '.join(self.policies)}; {HELP}"
            raise PolicyError(f"{self.name} has no policy {text}", hint)
        return own or parse_policy(text)

    @property
    def published(self) -> tuple[str, ...]:
        """The names of its own policies, but for the one of what it trains itself: the smallest first."""
        return tuple(name for name in self.policies if name != AS_GIVEN)

    def _is_policy(self, term: str) -> bool:
        """Whether it means something to any network, or names a layer of this one."""
        layer = any(each == term or each.startswith(f"{term}.") for each in self.graph.parameters)
        return layer or re.fullmatch(RESERVED, term) is not None

    @property
    def argument(self) -> str:
        """What the command line knows it by."""
        return self.source or self.name

    @property
    def untrained(self) -> bool:
        """Whether its weights are still the random ones that it was begun with."""
        return self.drawn is not None and self.drawn == digest(self.weights)

    @property
    def wanted(self) -> Network:
        """What data has to fit."""
        x, y = (self.graph.types[names[0]] for names in (self.graph.inputs, self.graph.outputs))
        channels_last = self.source is not None and self.source.lower().endswith(".tflite")
        repeats = x.shape == y.shape and self.inference is None and y.elements > y.shape[0]  # one value is no code
        return Network(self.name, x, y.shape[1:], channels_last, repeats)

    @property
    def ending(self) -> Graph | None:
        """What `inference` does behind `graph`, a softmax or a sigmoid: from the logits to what the network gives."""
        if self.inference is None:
            return None
        made = {result for node in self.graph.nodes for result in node.results}
        nodes = tuple(node for node in self.inference.nodes if not made.intersection(node.results))
        names = {*self.graph.outputs, *(result for node in nodes for result in node.results)}
        types = {name: kind for name, kind in self.inference.types.items() if name in names}
        return Graph(self.graph.outputs, (), nodes, self.inference.outputs, types).as_body()

    @property
    def batch(self) -> int:
        return self.graph.types[self.graph.inputs[0]].shape[0]

    @property
    def macs(self) -> int:
        """Multiply-accumulates of one forward pass of the whole batch."""
        return sum(
            ops.get(node.op).macs(*(self.graph.types[name] for name in node.operands), **node.attrs)
            for node in self.graph.nodes
        )

    @property
    def parameter_count(self) -> int:
        return sum(self.graph.types[name].elements for name in self.graph.parameters)

    @property
    def classifies(self) -> bool:
        """Whether its output is class scores, (batch, classes); without a softmax, one like the input is the input told
        anew, as an autoencoder does.
        """
        source, output = (self.graph.types[names[0]] for names in (self.graph.inputs, self.graph.outputs))
        return output.rank == 2 and (self.inference is not None or output.shape != source.shape)

    def objective(self, loss: str | None = None) -> Objective:
        """What it is trained for where no data says so, under this loss (None: its own).

        Class scores: cross-entropy with labels. An output like the input, unless its own samples have targets: mse with
        the input as target. Any other: mse.
        """
        source, output = (self.graph.types[names[0]] for names in (self.graph.inputs, self.graph.outputs))
        if loss == CROSS_ENTROPY or (self.classifies and loss is None):
            return objective(LABELS, loss)
        has_targets = isinstance(self.data, Samples) and self.data.targets is not None
        told_anew = output.shape == source.shape and not self.classifies and not has_targets
        return objective(INPUT if told_anew else VALUES, loss or MSE)

    def with_batch(self, batch: int) -> "Model":
        """The same network for `batch` samples at once."""
        inference = self.inference and _for_batch(self.inference, batch)
        return replace(self, graph=_for_batch(self.graph, batch), inference=inference)


def ending_at(logits: tuple[Value, int] | None, graph: Graph) -> tuple[Graph, Graph | None]:
    """`graph` and `inference` of a Model: the one that ends at the logits, and the whole; the whole, and None, where it
    has no softmax or sigmoid behind them. `logits`: their value, and how many nodes it takes.
    """
    whole = verify(without_dead_code(graph))
    if logits is None:
        return whole, None
    value, count = logits
    return verify(without_dead_code(graph.with_nodes(graph.nodes[:count], (value.name,)))), whole


def require_finite(where: str, weights: Mapping[str, np.ndarray]) -> None:
    for name, values in weights.items():
        if not np.isfinite(values).all():
            raise ModelError(f"{where}: {name} holds values that are no finite numbers")


def digest(weights: Mapping[str, np.ndarray]) -> str:
    """SHA-256 of their names and bytes."""
    bits = sha256()
    for name, values in sorted(weights.items()):
        bits.update(name.encode())
        bits.update(np.asarray(values).tobytes())
    return bits.hexdigest()


def _for_batch(graph: Graph, batch: int) -> Graph:
    (source,) = graph.inputs
    old = graph.types[source].shape[0]
    types = {name: graph.types[name] for name in graph.arguments}
    types[source] = replace(types[source], shape=(batch, *types[source].shape[1:]))
    nodes = []
    for node in graph.nodes:
        attrs = dict(node.attrs)
        shape = attrs.get("newshape", ())
        if shape[:1] == (old,) and -1 not in shape and prod(shape) != types[node.operands[0]].elements:
            attrs["newshape"] = (batch, *shape[1:])
        kinds = ops.get(node.op).result_types([types[name] for name in node.operands], attrs)
        types.update(zip(node.results, kinds, strict=True))
        nodes.append(replace(node, attrs=attrs))
    return verify(replace(graph, nodes=tuple(nodes), types=types))
