"""Gate maps: centre, padding, mean."""

import numpy as np

from mmcalib.plots.gate_map import gate_map, mean_over_samples


def test_the_mean_leaves_padding_out():
    gate = np.array([[[1.0], [3.0]], [[2.0], [np.nan]], [[np.nan], [np.nan]]])
    assert mean_over_samples(gate).tolist() == [[1.5], [3.0]]
    assert np.isnan(mean_over_samples(np.full((2, 1, 1), np.nan))).all()


def test_rows_are_modalities_and_colours_are_centred():
    gates = {'audio': np.full((5, 3, 2), 1.2), 'visual': np.full((5, 1, 4), 0.9)}
    gates['audio'][1, 2] = np.nan
    figure = gate_map(gates, list('abcde'), 'effective_gate')
    axes = [ax for ax in figure.axes if ax.images]
    assert len(axes) == 2 * 5, 'four samples and the mean'
    assert axes[0].get_title() == 'a' and axes[4].get_title() == 'mean of 5 samples'
    assert axes[0].get_ylabel() == 'audio\nfeature' and axes[5].get_xlabel() == 'time (token)'
    image = axes[1].images[0]
    assert image.get_clim() == (0.8, 1.2)
    assert image.get_array().mask[:, 2].all() and not image.get_array().mask[:, :2].any()


def test_a_plain_sigmoid_is_centred_at_a_half():
    figure = gate_map({'m': np.full((1, 2, 2), 0.7)}, ['a'], 'gate')
    low, high = figure.axes[0].images[0].get_clim()
    assert abs((low + high) / 2 - 0.5) < 1e-9 and 'white is 0.5' in figure.get_suptitle()


def test_an_absent_modality_is_said():
    figure = gate_map({'m': np.full((1, 2, 2), np.nan)}, ['a'], 'gate')
    assert figure.axes[0].texts[0].get_text() == 'absent'
