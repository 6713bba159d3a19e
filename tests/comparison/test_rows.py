"""Rows of tables whose numbers are known."""

import numpy as np
import pytest
from result_folders import write_classified, write_run
from scipy import stats

from mmcalib.comparison.formats import NONE, body, head
from mmcalib.comparison.result import read_result
from mmcalib.comparison.rows import make_tables

BASE = {0: [1, 1, 0, 0], 1: [1, 0, 0, 0], 2: [1, 1, 1, 0]}  # right or wrong by seed


@pytest.fixture
def run(tmp_path):
    """Make a run and read it."""
    made = iter(range(1000))

    def make(right, **fields):
        return read_result(write_classified(tmp_path / f'run{next(made)}', right, **fields))

    return make


def runs(run, by_seed, **fields):
    return [run(right, seed=seed, **fields) for seed, right in by_seed.items()]


def test_two_seeds_by_hand(run):
    """Accuracies .5 and .25 against .75 and .75: differences .25 and .5."""
    base = runs(run, {0: [1, 1, 0, 0], 1: [1, 0, 0, 0]}, epoch_s=3.0)
    other = runs(run, {0: [1, 1, 1, 0], 1: [1, 1, 1, 0]}, calibrator='SE', parameters=7)
    (table,) = make_tables([*base, *other])
    first, second = table.rows
    assert (table.metric, table.lower, table.items, table.baseline) == (
        'accuracy', False, 4, 'Identity',
    )  # fmt: skip
    assert first.values == {0: 0.5, 1: 0.25}
    assert first.spread == pytest.approx((0.375, 0.25 / np.sqrt(2), 2))
    assert first.versus is None
    assert second.spread == (0.75, 0, 2)
    versus = second.versus
    assert versus.differences == {0: 0.25, 1: 0.5}
    assert versus.spread == pytest.approx((0.375, 0.25 / np.sqrt(2), 2))
    assert versus.p_t.raw == pytest.approx(stats.ttest_rel([0.75, 0.75], [0.5, 0.25]).pvalue)
    assert versus.p_wilcoxon.raw == 0.5
    assert versus.record == (2, 0, 0)
    assert second.others['macro_f1'] == (0.5, 0, 2)
    assert (first.epoch_s, second.parameters, second.calibrator_parameters) == (3, 7, 0)


def test_a_time_that_was_not_taken_is_left_out(run):
    runs = [run([1, 0], seed=seed, epoch_s=time) for seed, time in enumerate((None, 2.0, 4.0))]
    (table,) = make_tables([*runs, run([1, 1], calibrator='SE', epoch_s=None)])
    first, second = table.rows
    assert (first.epoch_s, second.epoch_s) == (3, None)
    cells = dict(zip(head(table), body(table)[1], strict=True))
    assert cells['s/epoch'] == NONE and cells['ms/sample'] == '1.250'


def test_the_interval_is_that_over_all_resamples_of_items(run):
    """The same items are drawn for all seeds: with 4 items there are 256 resamples."""
    theirs = {0: [1, 1, 1, 1], 1: [1, 0, 1, 0], 2: [0, 1, 1, 0]}
    results = runs(run, BASE) + runs(run, theirs, calibrator='SE')
    (table,) = make_tables(results, resamples=40_000)
    every = [
        np.mean([np.mean(np.subtract(theirs[s], BASE[s])[list(k)]) for s in BASE])
        for k in np.ndindex(4, 4, 4, 4)
    ]
    found = table.rows[1].versus.interval
    assert (found.low, found.high) == pytest.approx(np.quantile(every, (0.025, 0.975)))
    assert table.rows[1].versus.p_items.raw == found.p


def test_items_are_paired_by_id_not_by_place(run):
    """Right and wrong on the same items in another order: no item differs."""
    first = run([1, 0, 1])
    turned = run([1, 0, 1], calibrator='SE')
    turned = turned._replace(
        id=turned.id[::-1], target=turned.target[::-1], prediction=turned.prediction[::-1]
    )
    (table,) = make_tables([first, turned])
    assert table.rows[1].versus.interval == (0, 0, 1)


def test_only_seeds_that_both_have_are_paired_and_the_table_says_so(run):
    results = runs(run, BASE) + runs(run, {1: [1, 1, 0, 0], 7: [0] * 4}, calibrator='SE')
    results += runs(run, {9: [0, 0, 0, 0]}, calibrator='FiLM')
    (table,) = make_tables(results)
    _, se, film = table.rows
    assert (se.spread.n, se.versus.differences) == (2, {1: 0.25})
    assert se.versus.spread == (0.25, None, 1)
    assert se.versus.p_t == se.versus.p_wilcoxon == (None, None)
    assert se.versus.interval is not None
    assert film.versus is None
    assert table.notes == [
        'Only one of SE and the baseline has seed 0, 2, 7: not paired.',
        'FiLM has no seed in common with the baseline: no difference.',
        'One pair only, so no test over seeds: SE.',
    ]


def test_p_values_are_corrected_within_a_table_only(run):
    rivals = {'SE': [1, 1, 1, 1], 'FiLM': [1, 1, 1, 0], 'MMTM': [0, 1, 1, 0]}
    results = runs(run, BASE)
    for name, right in rivals.items():
        results += runs(run, dict.fromkeys(BASE, right), calibrator=name)
    other = {'options': {'model.fuser.type': 'Sum'}}
    results += runs(run, BASE, **other)
    results += runs(run, {seed: [1, 1, 1, 1] for seed in BASE}, calibrator='SE', **other)
    first, second = make_tables(results)
    raw = {row.method: row.versus.p_t.raw for row in first.rows[1:]}
    assert raw['SE'] < raw['FiLM'] < raw['MMTM']
    holm = {row.method: row.versus.p_t.holm for row in first.rows[1:]}
    assert holm['SE'] == pytest.approx(3 * raw['SE'])
    assert holm['FiLM'] == pytest.approx(max(3 * raw['SE'], 2 * raw['FiLM']))
    assert second.rows[1].versus.p_t == (raw['SE'], raw['SE'])
    assert str(second.group) == 'base_conv_ave, model.fuser.type=Sum'


def test_lower_errors_win(tmp_path):
    def felt(name, wrong, **fields):
        target = np.array([1.0, -2.0])
        test = {'MAE': wrong, 'acc7': 0.5}
        made = write_run(tmp_path / name, target + wrong, target, test, **fields)
        return read_result(made)

    by = dict(selection=dict(split='val', metric='MAE', rule='less', value=1.0, epoch=3))
    results = [felt('a', 1.0, **by), felt('b', 0.25, calibrator='SE', **by)]
    (table,) = make_tables(results)
    assert (table.metric, table.lower, table.direction) == ('MAE', True, 'lower is better')
    assert table.rows[1].versus.spread.mean == -0.75
    assert table.rows[1].versus.record == (1, 0, 0)
    assert not make_tables(results, metric='acc7')[0].lower, 'the rule is that of MAE'
    results = [felt('c', 1.0, selection=None), felt('d', 0.25, calibrator='SE', selection=None)]
    (table,) = make_tables(results)
    assert (table.metric, table.lower) == ('MAE', True), 'by its name, as nothing was selected'
    assert not make_tables(results, metric='acc7')[0].lower


def test_a_metric_that_is_no_mean_over_items_has_no_interval(run):
    results = runs(run, BASE) + runs(run, BASE, calibrator='SE')
    (table,) = make_tables(results, metric='macro_f1')
    assert table.others == ('accuracy',)
    assert table.rows[1].versus.interval is None
    assert table.rows[1].versus.p_items == (None, None)
    assert table.rows[1].versus.p_t == (1, 1)
    assert 'macro_f1 has no scores of single test items: no interval over items.' in table.notes


def test_methods_and_tables_come_in_the_order_given(run):
    results = [
        run([1], calibrator='VGMR'), run([1], config='configs/b.py'), run([1]),
        run([1], calibrator='AGM'), run([1], config='b.py', calibrator='SE'),
    ]  # fmt: skip
    first, second = make_tables(results)
    assert [row.method for row in first.rows] == ['VGMR', 'Identity', 'AGM']
    assert [row.method for row in second.rows] == ['Identity', 'SE']
    assert second.group == ('b', '')


def test_any_method_can_be_the_baseline(run):
    results = [*runs(run, BASE), *runs(run, BASE, calibrator='SE', balancing='OGM')]
    (table,) = make_tables(results, baseline='SE + OGM')
    assert table.rows[1].versus is None
    assert table.rows[0].versus.spread == (0, 0, 3)


def test_without_a_baseline_there_are_no_differences(run):
    (table,) = make_tables(runs(run, BASE, calibrator='SE'))
    assert table.baseline is None
    assert table.rows[0].versus is None
    assert table.notes == ['No finished run of the baseline Identity: no differences.']


def test_a_difference_without_spread_has_no_t_test(run):
    up = {0: [1, 1, 1, 0], 1: [1, 1, 0, 0], 2: [1, 1, 1, 1]}
    (table,) = make_tables(runs(run, BASE) + runs(run, up, calibrator='SE'))
    assert table.rows[1].versus.p_t == (None, None)
    assert table.rows[1].versus.p_wilcoxon.raw == 0.25
    assert table.notes == [
        'The same difference at every seed, so no t test: SE.',
        'With 3 pairs, p of the Wilcoxon test is 0.25 or more.',
    ]


def test_what_differs_between_runs_is_said(run):
    changed = dict(
        data=dict(name='AVE', root='d', train=1, test=4, sha256=''),
        commit='abc with changes',
        device='GPU',
        epochs=3,
        torch='2.4',
        setting='other',
        selection=dict(split='test', metric='accuracy', rule='greater', value=1, epoch=1),
    )
    (table,) = make_tables([run([1] * 4), run([1] * 4, calibrator='SE', **changed)])
    said = ' '.join(table.notes)
    for what in (
        'data (sha256): ; abababababababab', 'settings, beside calibrator and balancing: ; other',
        'commits: abc with changes; abc1234', 'selection rules: highest accuracy on test; highest',
        'numbers of epochs: 12; 3', 'versions of torch: 2.13.0+cpu; 2.4', 'devices: GPU; cpu',
    ):  # fmt: skip
        assert f'The runs differ in their {what}' in said
    assert 'uncommitted changes' in said
    assert 'selected on the test split' in said
    assert make_tables([run([1]), run([0], seed=1)])[0].notes == []


def test_a_row_says_where_it_comes_from(run):
    command = (
        'python train.py c.py --seed {0} --work-dir w/x-seed{0} --lr 1 --cfg-options a.seed=12'
    )
    results = [run([1, 1], seed=s, command=command.format(s)) for s in (10, 1)]
    origin = make_tables(results)[0].rows[0].provenance
    assert origin.command == (
        'python train.py c.py --seed SEED --work-dir w/x-seedSEED --lr 1 '
        '--cfg-options a.seed=12  # SEED in 1 10'
    )
    assert (origin.commit, origin.sha256) == ('abc1234', 'ab' * 8)
    assert origin.data == 'AVE data/ave'
    assert origin.split == '40 train, 8 val, 2 test'
    assert origin.selection == 'highest accuracy on val'
    results = [
        run([1], seed=0, command='a', commit='', selection=None),
        run([1], seed=1, command='b', commit='x', selection=None),
    ]
    origin = make_tables(results)[0].rows[0].provenance
    assert (origin.command, origin.commit, origin.selection) == ('a; b', 'unknown; x', 'last epoch')


def test_one_run_cannot_count_twice(run):
    with pytest.raises(ValueError, match=r'run0 and .*run1 are both base_conv_ave, Id.*seed 0'):
        make_tables([run([1]), run([1])])


def test_a_metric_that_does_not_exist_is_named_with_those_that_do(run):
    with pytest.raises(ValueError, match=r"'F1' of base_conv_ave.*\['accuracy', 'macro_f1'\]"):
        make_tables([run([1])], metric='F1')
    by = dict(split='val', metric='macro_f1', rule='greater', value=1, epoch=1)
    mixed = [run([1]), run([1], seed=1, selection=by)]
    with pytest.raises(ValueError, match=r"selected by \['accuracy', 'macro_f1'\]; name"):
        make_tables(mixed)
    assert make_tables(mixed, metric='accuracy')[0].metric == 'accuracy'


def test_runs_on_other_items_are_no_table(run):
    with pytest.raises(ValueError, match=r'runs of one table need the same test items'):
        make_tables([run([1]), run([1, 1], calibrator='SE')])
    assert len(make_tables([run([1]), run([1, 1], options={'a': 1})])) == 2


def test_a_run_that_diverged_is_shown_and_not_tested(tmp_path):
    def felt(name, values, **fields):
        target = np.zeros(2)
        test = {'MAE': float(np.mean(np.abs(values)))}
        made = write_run(tmp_path / name, np.array(values), target, test, selection=None, **fields)
        return read_result(made)

    results = [felt(f'a{s}', [1, 2], seed=s) for s in (0, 1)]
    results += [felt(f'b{s}', [1, np.nan], seed=s, calibrator='SE') for s in (0, 1)]
    (table,) = make_tables(results)
    versus = table.rows[1].versus
    assert np.isnan(table.rows[1].spread.mean)
    assert versus.interval is None
    assert versus.p_t == versus.p_wilcoxon == (None, None)
    assert versus.record == (0, 0, 0)


def test_two_configs_that_differ_in_their_calibrator_only_are_one_table(run):
    same = dict(setting='s')
    one, other = (
        run([1, 0], config='configs/base_x.py', **same),
        run([1, 1], config='configs/calib_x.py', calibrator='VGMR', **same),
    )
    (table,) = make_tables([one, other])
    assert str(table.group) == 'base_x'
    assert [row.method for row in table.rows] == ['Identity', 'VGMR']
    assert len(make_tables([one, other._replace(setting='t')])) == 2
