"""What CLIP's text tower makes of an empty prompt: the one thing that X-Portrait ever says to its nets.

So that nobody needs the tower to draw, it is run once when weights are converted, layer by layer, and what it answers
is kept. It is written out here because a file's own tower is run, whatever its size.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from understudy.errors import BadWeights

HEAD = 64
"""Numbers to a head in all of CLIP's towers."""

Get = Callable[[str], Tensor]
"""A tensor of the tower by the name after "text_model."."""


@torch.no_grad()
def of_nothing(get: Get, layers: int) -> Tensor:
    """The last hidden state (1, k, d) of an empty prompt: the token that begins, and to the end the one that ends,
    which are the last two of the vocabulary. Errors: `BadWeights` for a tower that is none of CLIP's."""
    words, positions = get("embeddings.token_embedding.weight"), get("embeddings.position_embedding.weight")
    if words.ndim != 2 or positions.ndim != 2 or words.shape[1] != positions.shape[1] or words.shape[1] % HEAD:
        raise BadWeights(
            "the text tower is not one of CLIP's",
            f"embeddings.token_embedding.weight {tuple(words.shape)} and position_embedding {tuple(positions.shape)}",
        )
    count, width = positions.shape
    tokens = torch.full((count,), len(words) - 1)
    tokens[0] = len(words) - 2
    x = (words[tokens].float() + positions.float())[None]
    for layer in range(layers):
        x = _layer(x, lambda name, layer=layer: get(f"encoder.layers.{layer}.{name}").float(), width // HEAD)  # type: ignore[misc]
    return _normed(x, lambda name: get(name).float(), "final_layer_norm")


def _layer(x: Tensor, get: Get, heads: int) -> Tensor:
    """Looks at the words before, then thinks."""
    here = _normed(x, get, "layer_norm1")
    query, key, value = (
        _linear(here, get, f"self_attn.{part}_proj").reshape(*x.shape[:2], heads, -1).transpose(1, 2) for part in "qkv"
    )
    seen = F.scaled_dot_product_attention(query, key, value, is_causal=True)
    x = x + _linear(seen.transpose(1, 2).flatten(2), get, "self_attn.out_proj")
    inner = _linear(_normed(x, get, "layer_norm2"), get, "mlp.fc1")
    return x + _linear(inner * torch.sigmoid(1.702 * inner), get, "mlp.fc2")  # CLIP's quick GELU


def _linear(x: Tensor, get: Get, name: str) -> Tensor:
    return F.linear(x, get(f"{name}.weight"), get(f"{name}.bias"))


def _normed(x: Tensor, get: Get, name: str) -> Tensor:
    return F.layer_norm(x, x.shape[-1:], get(f"{name}.weight"), get(f"{name}.bias"), eps=1e-5)
