"""Weights trained on one class table -> a network of another one: all but the head goes over."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from lidarpan.model.checkpoint import fit_weights
from lidarpan.structures import InputError

HEADS = ("semantic_head.weight", "semantic_head.bias")
"""Tensors with a row for each class but void."""


@dataclass(frozen=True)
class TakenOver:
    """What became of the head.

    Attributes:
        kept: classes whose rows were taken over by their name.
        fresh: classes that begin anew.
    """

    kept: tuple[str, ...]
    fresh: tuple[str, ...]

    @property
    def is_replaced(self) -> bool:
        """Whether the class tables differ."""
        return bool(self.fresh)

    def __str__(self) -> str:
        """In words."""
        kept = f"taken over by name: {', '.join(self.kept)}" if self.kept else "none is taken over"
        return (
            f"the head is replaced: {len(self.fresh)} of {len(self.kept) + len(self.fresh)} "
            f"classes begin anew ({', '.join(self.fresh)}); {kept}"
        )


def begin_from(
    network: nn.Module,
    classes: Sequence[str],
    state: Mapping[str, Tensor],
    trained: Sequence[str],
    source: str,
) -> TakenOver:
    """Load weights into a network; of the head, the rows of classes that both tables name.

    Args:
        network: with fresh weights.
        classes: names of its train ids, void first.
        state: of the weights.
        trained: names of the classes that the weights tell apart, void first.
        source: names the weights in errors.

    Raises:
        InputError: anything but the head has another shape.
    """
    state = dict(state)
    place = {name: row for row, name in enumerate(trained[1:])}
    kept = tuple(name for name in classes[1:] if name in place)
    fresh = tuple(name for name in classes[1:] if name not in place)
    if list(classes) != list(trained):
        own = network.state_dict()
        for name in HEADS:
            rows = own[name].clone()
            if name not in state or len(state[name]) != len(place):
                raise InputError(f"{source}: wanted {len(place)} rows of {name}: damaged")
            if state[name].shape[1:] == rows.shape[1:]:
                for row, known in enumerate(classes[1:]):
                    if known in place:
                        rows[row] = state[name][place[known]]
            state[name] = rows
    fit_weights(network, state, source)
    return TakenOver(kept, fresh)
