"""Can moods be heard at all? A small recurrent net is told the moods of talking takes and asked for those of others.

    python bench/moods.py --shards SHARDS [--takes 800] [--steps 400]

What it answers is the most that an actor can be asked for: an actor must find out by itself what this net is told.
Prints one JSON object: the share of frames whose mood is heard, each mood counting the same, of takes learnt from, of
takes left out, and of voices, words and languages that are held out.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from understudy.cast.speak.lines import HELD_OUT
from understudy.cast.speak.voice import MOODS
from understudy.data import shards
from understudy.data.talk import FOLDER, Talk, spoken_ahead
from understudy.motion.speech import WIDTH

WARM = 50  # frames that nobody is asked about: what is heard before says little


class Ear(nn.Module):
    """Rows of sound to shares of moods, frame by frame, from what was heard so far."""

    def __init__(self, width: int = 96) -> None:
        super().__init__()
        self.into = nn.Linear(WIDTH, width)
        self.memory = nn.GRU(width, width, batch_first=True)
        self.out = nn.Linear(width, len(MOODS))

    def forward(self, sound: Tensor) -> Tensor:
        """(n, f, WIDTH) -> (n, f, 5) logits."""
        x = F.dropout(F.relu(self.into(sound)), 0.3, self.training)
        heard: Tensor = self.out(F.dropout(self.memory(x)[0], 0.3, self.training))
        return heard


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--shards", type=Path, required=True, help="takes are spoken there if they are missing")
    asked.add_argument("--takes", type=int, default=800)
    asked.add_argument("--steps", type=int, default=400)
    said = asked.parse_args()
    torch.manual_seed(0)
    told = Talk(seconds=16)
    for _ in spoken_ahead(told, said.shards / FOLDER, said.takes):
        pass
    takes = shards.Shards(said.shards / FOLDER, said.takes).at([*range(said.takes)], ["sound", "mood"])
    sound, mood = takes["sound"].float(), takes["mood"]
    others = Talk(seconds=16, first=HELD_OUT).batch([*range(60)])
    middle, spread = sound.mean((0, 1)), sound.std((0, 1)) + 1e-3
    learnt = said.takes * 4 // 5
    usual = mood[:learnt].mean((0, 1))
    ear = learned((sound[:learnt] - middle) / spread, mood[:learnt], said.steps)
    found = {
        name: heard(ear, (some - middle) / spread, moods, usual)
        for name, some, moods in (
            ("learnt", sound[:100], mood[:100]),
            ("left_out", sound[learnt:], mood[learnt:]),
            ("held_out", others["sound"].float(), others["mood"]),
        )
    }
    print(json.dumps({name: round(value, 3) for name, value in found.items()}))


def learned(sound: Tensor, mood: Tensor, steps: int) -> Ear:
    """Told the moods of whole takes, 24 at a time."""
    ear = Ear()
    optimiser = torch.optim.AdamW(ear.parameters(), 2e-3, weight_decay=0.02)
    for _ in range(steps):
        some = torch.randint(len(sound), (24,))
        loss = -(mood[some] * ear(sound[some]).log_softmax(-1)).sum(-1).mean()
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(ear.parameters(), 1.0)
        optimiser.step()
    return ear.eval()


@torch.no_grad()
def heard(ear: Ear, sound: Tensor, mood: Tensor, usual: Tensor) -> float:
    """The mean over moods of the share of their frames that is heard."""
    answer = (ear(sound).softmax(-1) / usual)[:, WARM:].argmax(-1)
    truth = mood[:, WARM:].argmax(-1)
    shares = [(answer[truth == one] == one).float().mean() for one in range(len(MOODS)) if (truth == one).any()]
    return float(torch.stack(shares).mean())


if __name__ == "__main__":
    main()
