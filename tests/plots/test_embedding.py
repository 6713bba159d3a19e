"""Embeddings: what is drawn, in which colours, and that a seed decides."""

import numpy as np
import pytest
from sklearn.decomposition import PCA

from mmcalib.plots.embedding import CLASSES, embedding, pca
from mmcalib.plots.style import REST


def points(n=30, width=6, seed=0):
    return np.random.default_rng(seed).normal(size=(n, width)).astype('f4')


def test_pca_agrees_with_scikit_learn_but_for_signs():
    x = points().astype(float)
    places, names = pca(x)
    model = PCA(2, svd_solver='full').fit(x)
    assert np.abs(places) == pytest.approx(np.abs(model.transform(x)))
    assert names[0] == f'component 1 ({model.explained_variance_ratio_[0]:.0%} of variance)'


def test_samples_without_the_modality_are_left_out():
    x = points()
    x[:4] = np.nan
    figure = embedding({'audio': x}, {'audio': x}, np.arange(30) % 3, ['a', 'b', 'c'])
    for ax in figure.axes[:4]:
        assert sum(len(c.get_offsets()) for c in ax.collections) == 26
        assert '(n = 26)' in ax.get_title() and ax.get_xlabel() and ax.get_ylabel()
    assert [t.get_text() for t in figure.legends[0].get_texts()] == ['a', 'b', 'c']


def test_rare_classes_are_grey_and_said_so():
    target = np.concatenate([np.repeat(np.arange(CLASSES), 2), [20, 21]])
    x = points(len(target))
    figure = embedding({'m': x}, {'m': x}, target, [str(k) for k in range(22)])
    texts = [t.get_text() for t in figure.legends[0].get_texts()]
    assert texts == [*(str(k) for k in range(CLASSES)), 'other classes']
    assert '20 most frequent of 22' in figure.get_suptitle()
    grey = figure.axes[0].collections[0]
    assert len(grey.get_offsets()) == 2 and REST == '#BBBBBB'


def test_numbers_get_a_colour_bar_and_other_targets_no_colours():
    x = points()
    figure = embedding({'m': x}, {'m': x}, np.linspace(-3, 3, 30))
    assert figure.axes[-1].get_ylabel() == 'target'
    figure = embedding({'m': x}, {'m': x}, np.zeros((30, 4)))
    assert 'no colours' in figure.get_suptitle()


def test_the_seed_decides_where_t_sne_puts_samples():
    def drawn(seed):
        figure = embedding({'m': points()}, {'m': points()}, seed=seed)
        return figure.axes[2].collections[0].get_offsets().data

    assert np.array_equal(drawn(0), drawn(0)) and not np.array_equal(drawn(0), drawn(1))


@pytest.mark.parametrize('x', [points(3), np.ones((9, 4)), np.full((9, 4), np.nan)])
def test_too_little_to_draw_is_said(x):
    figure = embedding({'m': x}, {'m': x})
    assert 'fewer than 5' in figure.axes[0].texts[0].get_text()
