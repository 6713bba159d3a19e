from types import SimpleNamespace

import pytest
from torch import nn

from mmcalib.hooks.class_check import ClassCheck


def runner(num_classes, classes):
    model = nn.Module()
    model.head = nn.Module()
    if num_classes:
        model.head.num_classes = num_classes
    loader = SimpleNamespace(dataset=SimpleNamespace(metainfo={'name': 'AVE', 'classes': classes}))
    return SimpleNamespace(
        model=model, train_dataloader=loader, val_dataloader=loader, test_dataloader=loader
    )


@pytest.mark.parametrize('stage', ['before_train', 'before_val', 'before_test'])
def test_a_head_of_another_size_is_refused_with_the_option_that_mends_it(stage):
    with pytest.raises(ValueError, match=r'num_classes=28, but AVE has 2 .*num_classes=2'):
        getattr(ClassCheck(), stage)(runner(28, ['a', 'b']))


def test_a_fitting_head_and_one_without_classes_pass():
    ClassCheck().before_train(runner(2, ['a', 'b']))
    ClassCheck().before_train(runner(None, ['a', 'b']))
