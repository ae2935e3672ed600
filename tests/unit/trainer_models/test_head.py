"""The classifier on a body."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from learnfleet.trainer.errors import LearnerError
from learnfleet.trainer.head import AdaptiveConcatPool2d, apply_init, create_head, init_named


def test_f029_the_default_head_is_fastais() -> None:
    names = [type(layer).__name__ for layer in create_head(1024, 10)]
    assert names == [
        "AdaptiveConcatPool2d",
        "Flatten",
        *("BatchNorm1d", "Dropout", "Linear", "ReLU"),
        *("BatchNorm1d", "Dropout", "Linear"),
    ]
    assert sum(p.numel() for p in create_head(1024, 10).parameters()) == 533002
    assert [layer.p for layer in create_head(1024, 10) if isinstance(layer, nn.Dropout)] == [0.25, 0.5]


def test_f029_hidden_dropouts_are_half_of_the_one_given() -> None:
    dropouts = [la.p for la in create_head(8, 2, [4, 4], 0.4) if isinstance(la, nn.Dropout)]
    assert dropouts == [0.2, 0.2, 0.4]


def test_f030_a_head_of_ones_own_widths_and_dropouts() -> None:
    head = create_head(1024, 10, lin_ftrs=[256, 128], ps=[0.1, 0.2, 0.3], concat_pool=False, bn_final=True)
    linear = [layer for layer in head if isinstance(layer, nn.Linear)]
    assert [(layer.in_features, layer.out_features) for layer in linear] == [(1024, 256), (256, 128), (128, 10)]
    assert [layer.p for layer in head if isinstance(layer, nn.Dropout)] == [0.1, 0.2, 0.3]
    assert [layer.num_features for layer in head if isinstance(layer, nn.BatchNorm1d)] == [1024, 256, 128, 10]


def test_f030_no_hidden_layer_at_all() -> None:
    assert [la.p for la in create_head(8, 2, [], 0.4) if isinstance(la, nn.Dropout)] == [0.4]


def test_f030_a_zero_dropout_leaves_no_layer_and_a_wrong_count_is_refused() -> None:
    assert not any(isinstance(layer, nn.Dropout) for layer in create_head(8, 2, ps=0.0))
    with pytest.raises(ValueError, match="3 dropouts for 2 linear layers"):
        create_head(8, 2, ps=[0.1, 0.2, 0.3])


def test_f031_the_final_batchnorm_has_a_momentum_of_a_hundredth() -> None:
    last = create_head(8, 3, bn_final=True)[-1]
    assert isinstance(last, nn.BatchNorm1d)
    assert (last.num_features, last.momentum) == (3, 0.01)
    assert isinstance(create_head(8, 3)[-1], nn.Linear)


def test_f032_the_maxima_come_before_the_averages() -> None:
    x = torch.tensor([[[[0.0, 4.0]]]])
    assert AdaptiveConcatPool2d()(x).flatten().tolist() == [4.0, 2.0]


def test_f032_without_concat_pool_only_averages_are_taken() -> None:
    pool = create_head(1, 2, concat_pool=False)[0]
    assert pool(torch.tensor([[[[0.0, 4.0]]]])).flatten().tolist() == [2.0]


def test_f033_init_fills_weights_and_zeroes_biases_but_not_those_of_batchnorm_or_frozen_modules() -> None:
    head = create_head(4, 2, [3])
    frozen = head[-1]
    before = frozen.weight.clone()
    frozen.requires_grad_(False)
    apply_init(head, lambda weight: nn.init.constant_(weight, 7.0))
    first = head[4]
    assert first.weight.unique().tolist() == [7.0]
    assert first.bias.unique().tolist() == [0.0]
    assert head[2].weight.unique().tolist() == [1.0]
    assert torch.equal(frozen.weight, before)


def test_f033_no_init_leaves_all_as_it_is() -> None:
    head = create_head(4, 2)
    before = [parameter.clone() for parameter in head.parameters()]
    apply_init(head, None)
    assert all(torch.equal(now, then) for now, then in zip(head.parameters(), before, strict=True))


def test_initialisations_have_names() -> None:
    assert init_named("orthogonal") is nn.init.orthogonal_
    assert init_named(None) is None
    with pytest.raises(LearnerError, match="no initialisation 'ones'; known: kaiming_normal"):
        init_named("ones")
