"""A generator some of whose nets are on the device only while they are needed: what `plan` calls offload.

The reference net reads the portrait once and for all levels, and leaves; the autoencoder comes to encode the portrait
and to decode each window. Where they go: from a GPU to the machine's memory; from the machine's memory nowhere, as they
can be read from their file again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from understudy.generator.blocks import Note
from understudy.generator.generator import Generator, GeneratorConfig, Likeness, Manner
from understudy.generator.recorded import Played, Recorded

PARTS = {"reading": "reference", "pictures": "autoencoder"}
"""What a plan calls the nets that may leave."""


class Thrifty(Generator):
    """See the module. Until something is `sent_away`, it is a generator like others.

    `refill` fills the net of that name, which is on the meta device, from where it came, on a device."""

    def __init__(self, config: GeneratorConfig, refill: Callable[[str, torch.device], None]) -> None:
        super().__init__(config)
        self.away = frozenset[str]()
        self._refill = refill
        self._recorded: tuple[Recorded, Recorded] | None = None

    @property
    def device(self) -> torch.device:
        """Where it draws."""
        return self.unet.conv_in.weight.device

    def sent_away(self, offload: tuple[str, ...]) -> None:
        """Sends these parts of a plan away, and has all others stay."""
        for part, name in PARTS.items():
            if part in offload:
                self._gone(name)
            elif name in self.away:
                self._brought(name)
        self.away = frozenset(PARTS[part] for part in offload)

    @contextmanager
    def near(self, name: str) -> Iterator[None]:
        """A net that is on the device now, wherever it usually is."""
        if name not in self.away:
            yield
            return
        self._brought(name)
        try:
            yield
        finally:
            self._gone(name)

    def record(self, record: Callable[[Callable[[], Tensor]], Played] | None = None) -> None:
        """From now on the U-Net and the control nets are recorded and played back; see `Recorded`."""
        self._recorded = Recorded(super().informed, record), Recorded(super().uninformed, record)

    def informed(self, *given: Any) -> Tensor:
        return super().informed(*given) if self._recorded is None else self._recorded[0](*given)

    def uninformed(self, *given: Any) -> Tensor:
        return super().uninformed(*given) if self._recorded is None else self._recorded[1](*given)

    def likeness(
        self, pictures: Tensor, context: Tensor | None = None, chance: torch.Generator | None = None
    ) -> Likeness:
        with self.near("autoencoder"):
            return super().likeness(pictures, context, chance)

    @torch.no_grad()
    def decoded(
        self, latents: Tensor, manner: Manner, decode: Callable[[Tensor], Tensor] | None = None
    ) -> Iterator[Tensor]:
        if decode is not None:
            yield from super().decoded(latents, manner, decode)
            return
        with self.near("autoencoder"):
            yield from super().decoded(latents, manner)

    def _reader(self, likeness: Likeness, levels: Tensor) -> Callable[[Tensor], list[Note]]:
        """All levels are read at once, while the reference net is here."""
        reader = super()._reader(likeness, levels)
        if "reference" in self.away:
            with self.near("reference"):
                for level in levels[:-1].split(1):  # type: ignore[no-untyped-call]
                    reader(level)
        return reader

    def _gone(self, name: str) -> None:
        net = self.get_submodule(name)
        if not any(value.is_meta for value in net.parameters()):
            net.to("meta" if self.device.type == "cpu" else "cpu")

    def _brought(self, name: str) -> None:
        net: nn.Module = self.get_submodule(name)
        if any(value.is_meta for value in net.parameters()):
            self._refill(name, self.device)
        else:
            net.to(self.device)
