"""The transformer against torch's own layers, which compute every position."""

from __future__ import annotations

import math
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn

from groktime.fullnet.networks.transformer import Block, Transformer
from groktime.reduced.errors import InputError

VOCABULARY, POSITIONS, D, HEADS, MLP = 11, 4, 12, 3, 20


@pytest.fixture(autouse=True)
def seeded() -> Iterator[None]:
    torch.manual_seed(0)
    with torch.no_grad():
        yield


def made(blocks: int, normed: bool) -> Transformer:
    """A network whose every parameter counts, biases and gains too."""
    network = Transformer(VOCABULARY, POSITIONS, D, HEADS, MLP, blocks, normed).double()
    for p in network.parameters():
        p.add_(0.3 * torch.randn_like(p))
    return network


def tokens() -> Tensor:
    return torch.randint(VOCABULARY, (50, POSITIONS))


def plain_block(block: Block, normed: bool) -> nn.TransformerEncoderLayer:
    """torch's layer with the weights of a block, in the order norm, attention, norm, MLP."""
    activation = "gelu" if normed else "relu"
    layer = nn.TransformerEncoderLayer(D, HEADS, MLP, 0.0, activation, batch_first=True, norm_first=True)
    own = block.attention
    weights = {
        "self_attn.in_proj_weight": torch.cat([own.query.weight, own.key.weight, own.value.weight]),
        "self_attn.in_proj_bias": torch.zeros(3 * D),
        "self_attn.out_proj.weight": own.out.weight,
        "self_attn.out_proj.bias": torch.zeros(D),
        "linear1.weight": block.mlp[0].weight,
        "linear1.bias": block.mlp[0].bias,
        "linear2.weight": block.mlp[2].weight,
        "linear2.bias": block.mlp[2].bias,
    }
    if normed:
        norms = {"norm1": block.norm1, "norm2": block.norm2}
        weights |= {f"{k}.{name}": p for k, norm in norms.items() for name, p in norm.named_parameters()}
    else:
        layer.norm1 = layer.norm2 = nn.Identity()  # type: ignore[assignment]
    layer = layer.double()
    layer.load_state_dict(weights)
    return layer


def plain(network: Transformer, x: Tensor, normed: bool) -> Tensor:
    """The logits at the last position, every position computed."""
    stream = network.embedding[x] + network.position
    mask = nn.Transformer.generate_square_subsequent_mask(POSITIONS, dtype=torch.float64)
    for block in network.blocks:
        assert isinstance(block, Block)
        stream = plain_block(block, normed)(stream, src_mask=mask)
    if normed:
        stream = nn.functional.layer_norm(stream, (D,), network.norm.weight, network.norm.bias)
    return (stream @ network.unembedding.weight.mT)[:, -1]


@pytest.mark.parametrize("normed", [False, True])
@pytest.mark.parametrize("blocks", [1, 2])
def test_equals_torchs_layers(blocks: int, normed: bool) -> None:
    network, x = made(blocks, normed), tokens()
    expected = plain(network, x, normed)
    assert float(expected.std()) > 0.1
    torch.testing.assert_close(network(x), expected, rtol=0, atol=1e-12)
    torch.testing.assert_close(network.float()(x), expected.float(), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("normed", [False, True])
def test_the_last_position_alone_is_the_same(normed: bool) -> None:
    block = made(1, normed).blocks[0]
    x = torch.randn(50, POSITIONS, D, dtype=torch.float64)
    torch.testing.assert_close(block(x, last=True), block(x)[:, -1:], rtol=0, atol=1e-13)


def test_the_last_block_computes_only_the_last_position() -> None:
    network, x = made(2, True), tokens()
    shapes: list[tuple[int, ...]] = []
    for block in network.blocks:
        for layer in (block.attention.query, block.attention.key, block.mlp[0]):
            layer.register_forward_hook(lambda _, inputs, __: shapes.append(tuple(inputs[0].shape)))
    network(x)
    everywhere, alone = (50, POSITIONS, D), (50, 1, D)
    assert shapes == [everywhere, everywhere, everywhere, alone, everywhere, alone]


def test_one_hot_vectors_are_as_whole_numbers() -> None:
    network, x = made(2, True), tokens()
    one_hot = nn.functional.one_hot(x, VOCABULARY)
    for kind in (torch.float32, torch.float64):  # what a task makes need not know the network's type
        torch.testing.assert_close(network(one_hot.to(kind)), network(x), rtol=0, atol=1e-12)
    mixed = 0.5 * (one_hot + one_hot.flip(0)).double()
    assert not torch.allclose(network(mixed), network(x), atol=0.1)


def test_the_initial_weights() -> None:
    network = Transformer(300, 4, 64, 4, 256, blocks=2, normed=True)
    for name, p in network.named_parameters():
        if name.startswith("norm") or ".norm" in name:
            assert torch.equal(p, torch.full_like(p, name.endswith("weight")))
        elif name.endswith("bias"):
            assert not p.any()
            assert ".mlp." in name  # nothing else has biases
        else:
            scale = 300 if name.startswith("unembedding") else 64
            assert float(p.std() * math.sqrt(scale)) == pytest.approx(1, abs=0.1)
            assert float(p.mean() * math.sqrt(scale)) == pytest.approx(0, abs=0.2)


def test_heads_share_the_model() -> None:
    with pytest.raises(InputError, match="d_model = 10: expected a multiple of heads = 4"):
        Transformer(5, 3, 10, 4, 40)
