"""How fast motion codes are read, how long X-Portrait 2 small draws beside X-Portrait small, and a step of training.

    python bench/codes.py              on a quiet machine, two threads
    python bench/codes.py --threads 1

Weights of chance are as quick as learnt ones. Nothing is read from disk or downloaded.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import torch

from understudy import models
from understudy.generator.generator import Cues, Generator, Sitter
from understudy.motion.encoder import TOGETHER, cut

FRAMES = 16
ROUNDS = 5


def timed(work: Callable[[], object]) -> float:
    """Seconds, the best of some rounds after one that does not count."""
    work()
    best = float("inf")
    for _ in range(ROUNDS):
        begun = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - begun)
    return best


def reading() -> float:
    """Faces a second: cut out of their pictures, and encoded."""
    net = Generator(models.x_portrait_2_small()).eval()
    assert net.encoder is not None
    encoder, config = net.encoder, net.encoder.config
    pictures, boxes = torch.rand(TOGETHER, 3, 256, 256), torch.tensor([[128.0, 128.0, 110.0]]).expand(TOGETHER, 3)

    @torch.no_grad()
    def work() -> None:
        encoder.encode(cut(pictures, boxes, config.side, config.room))

    return TOGETHER / timed(work)


def drawing(name: str) -> float:
    """Seconds for a window of `FRAMES` frames in the model's own steps, decoded."""
    model = models.named(name)
    assert model.config is not None and model.manner is not None
    net, manner = Generator(model.config()).eval(), model.manner()
    side = net.config.picture
    likeness = net.likeness(torch.rand(1, 3, side, side))
    hints = tuple(torch.rand(FRAMES, 3, side, side) for _ in net.config.controls)
    code = net.config.encoder and torch.randn(FRAMES, net.config.encoder.code)
    sitter = None if code is None else Sitter(torch.rand(1, 3, side, side), code[:1], torch.tensor([[128.0, 128, 100]]))

    @torch.no_grad()
    def work() -> None:
        box = torch.ones(FRAMES, 3)
        cues = Cues(hints) if code is None else net.coded(code, box, box, sitter)
        list(net.draw(likeness, [cues], manner))

    with torch.no_grad():
        return timed(work)


def stepping(name: str) -> float:
    """Seconds for forward and backward of 8 portraits with 4 answers each, as in training, without data."""
    model = models.named(name)
    assert model.config is not None
    net = Generator(model.config())
    config = net.config
    for value in net.autoencoder.parameters():
        value.requires_grad_(False)
    answer = torch.randn(8, 4, config.unet.channels, config.side, config.side)
    portrait, level = answer[:, 0], torch.rand(8, 4)
    hints = tuple(torch.rand(32, 3, config.picture, config.picture) for _ in config.controls)
    faces = None if config.encoder is None else torch.rand(32, 3, config.encoder.side, config.encoder.side)
    box, shown = torch.ones(32, 3), torch.rand(32, 3, config.picture, config.picture)

    def work() -> None:
        with torch.autocast("cpu", torch.bfloat16):
            if faces is None or net.encoder is None:
                cues = Cues(hints)
            else:
                code = net.encoder.encode(faces)
                cues = net.coded(code, box, box, Sitter(shown, code.detach(), box))
            loss = net(answer, level, portrait=portrait, cues=cues).float().square().mean()
        loss.backward()
        net.zero_grad(set_to_none=True)

    return timed(work)


def main() -> None:
    """Prints a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=2)
    torch.set_num_threads(parser.parse_args().threads)
    print(f"reading codes: {reading():.0f} faces a second (without finding them)")
    for name in ("x-portrait-small", "x-portrait-2-small"):
        print(f"{name}: {drawing(name):.2f} s for {FRAMES} frames; a training step of the nets {stepping(name):.2f} s")


if __name__ == "__main__":
    main()
