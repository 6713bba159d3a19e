"""TrainingDynamics: its numbers are those of a direct computation, and it changes nothing."""

import copy
import json
import os
import re
import runpy
import socket
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import mmengine
import numpy as np
import pytest
import torch
from mmengine.hooks import Hook
from scipy.stats import spearmanr
from tokens_project import DIMS, Tokens, config

from mmcalib.contract import Signal
from mmcalib.datasets.collate import collate
from mmcalib.dynamics.gradient_tap import GradientTap, gradient_norms
from mmcalib.engine.runner import Runner
from mmcalib.hooks.training_dynamics import TrainingDynamics

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / 'docs' / 'dynamics.md').read_text()
HOOK = dict(type='TrainingDynamics', interval=1, samples=None, batch_size=5, shapley_every=2)
OF_SYSTEM = ('system/', 'time', 'data_time', 'lr')


def project(work_dir, hooks=(HOOK,), **more):
    """Tokens, with encoders that learn."""
    cfg = config(work_dir, list(hooks), **more)
    cfg.model.encoders = {
        m: dict(type='Recurrent', in_dim=dim, width=3, cell='lstm') for m, dim in DIMS.items()
    }
    return cfg


@pytest.fixture(autouse=True)
def _haste(monkeypatch):
    monkeypatch.setattr(mmengine.runner.runner, 'collect_env', dict)  # it runs compilers


def rows_of(work_dir):
    """Everything in the JSON log: name -> step -> value."""
    log = sorted(Path(work_dir).glob('*/vis_data/scalars.json'))
    found = {}
    for line in [line for path in log for line in path.read_text().splitlines()]:
        row = json.loads(line)
        for name, value in row.items():
            found.setdefault(name, {})[row['step']] = value
    return found


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
    """The runner of three epochs, and what it logged."""
    folder = tmp_path_factory.mktemp('run')
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mmengine.runner.runner, 'collect_env', dict)
        runner = Runner.from_cfg(project(folder))
        runner.train()
        runner.visualizer.close()
    return runner, rows_of(folder)


def without(inputs, kept):
    """Raw inputs of which only some modalities are there; the others hold garbage."""
    return {
        m: s if m in kept else Signal(torch.full_like(s.x, 7.0), torch.zeros_like(s.mask))
        for m, s in inputs.items()
    }


def answer(model, batch, kept):
    return model(without(batch['inputs'], kept), mode='tensor')


def every_sample():
    return collate([Tokens()[k] for k in range(14)])


def test_scores_contributions_and_shapley_values_are_those_of_predictions(trained):
    runner, rows = trained
    model, batch = runner.model.eval(), every_sample()
    accuracy = {
        kept: float((answer(model, batch, kept).argmax(-1) == batch['target']).float().mean())
        for kept in ((), ('audio',), ('visual',), ('audio', 'visual'))
    }
    none, audio, visual, both = accuracy.values()
    last = {name: series.get(3) for name, series in rows.items()}
    assert last['score/all'] == pytest.approx(both) == last['accuracy']
    assert last['score/none'] == pytest.approx(none)
    assert last['score/only_audio'] == last['score/without_visual'] == pytest.approx(audio)
    assert last['score/only_visual'] == last['score/without_audio'] == pytest.approx(visual)
    assert last['contribution/audio'] == pytest.approx(both - visual)
    assert last['contribution/visual'] == pytest.approx(both - audio)
    assert last['shapley/audio'] == pytest.approx((audio - none + both - visual) / 2)
    assert last['shapley/audio'] + last['shapley/visual'] == pytest.approx(both - none)
    assert sorted(rows['shapley/audio']) == [2, 3] and sorted(rows['score/all']) == [1, 2, 3]


def direct_gradient(model, batch, kept):
    """Of the mean loss of the samples that have any of these modalities, on fuser and head."""
    there = torch.stack([batch['inputs'][m].present for m in kept]).any(0)
    loss = model.head.loss(answer(model, batch, kept), batch['target'])[there].mean()
    parameters = [*model.fuser.parameters(), *model.head.parameters()]
    return torch.cat([g.flatten() for g in torch.autograd.grad(loss, parameters)])


def test_coupling_is_the_cosine_of_gradients(trained):
    runner, rows = trained
    model = runner.model.eval()
    cosines = {'audio': [], 'visual': [], 'audio-visual': []}
    for start in (0, 5, 10):
        batch = collate([Tokens()[k] for k in range(start, min(start + 5, 14))])
        audio, visual, both = (
            direct_gradient(model, batch, kept)
            for kept in (['audio'], ['visual'], ['audio', 'visual'])
        )
        cosines['audio'].append(torch.cosine_similarity(audio, both, dim=0).item())
        cosines['visual'].append(torch.cosine_similarity(visual, both, dim=0).item())
        cosines['audio-visual'].append(torch.cosine_similarity(audio, visual, dim=0).item())
    for name, series in cosines.items():
        past = list(rows[f'coupling/{name}'].values())
        assert past[-1] == pytest.approx(np.mean(series), abs=1e-5)
        spread = rows[f'coupling_variance_batches/{name}'][3]
        assert spread == pytest.approx(np.var(series), abs=1e-5)
        changes = sum(a * b < 0 for a, b in pairwise(series))
        assert rows[f'coupling_sign_changes_batches/{name}'][3] == changes
        assert rows[f'coupling_variance_epochs/{name}'][3] == pytest.approx(np.var(past), abs=1e-9)
        changes = sum(a * b < 0 for a, b in pairwise(past))
        assert rows[f'coupling_sign_changes_epochs/{name}'][3] == changes
    assert len({round(c, 4) for series in cosines.values() for c in series}) == 9, 'all differ'


def test_evidence_and_impact_are_those_of_the_calibrator(trained):
    runner, rows = trained
    model, batch = runner.model.eval(), every_sample()
    encoded = {m: encoder(batch['inputs'][m]) for m, encoder in model.encoders.items()}
    done = model.calibrator(encoded)

    def loss(signals):
        with torch.no_grad():
            return model.head.loss(model.head(model.fuser(signals).vector), batch['target'])

    for m, signal in encoded.items():
        less = Signal(torch.full_like(done.signals[m].x, 3.0), torch.zeros_like(signal.mask))
        rise = (loss({**done.signals, m: less}) - loss(done.signals))[signal.present].numpy()
        assert rows[f'loss_increase/{m}'][3] == pytest.approx(rise.mean(), abs=1e-6)
        value = done.evidence['value'][m][signal.present].numpy()
        tag = f'evidence/value/{m}'
        assert rows[f'{tag}/mean'][3] == pytest.approx(value.mean(), abs=1e-6)
        assert rows[f'{tag}/std'][3] == pytest.approx(value.std(ddof=1), abs=1e-6)
        assert f'{tag}/spread' not in rows, 'one number has none'
        expected = spearmanr(value, rise).statistic
        assert rows[f'spearman/value/{m}'][3] == pytest.approx(expected, abs=1e-6)
        gates = [
            g[mask].detach().numpy()
            for g, mask in zip(done.evidence['gate'][m], signal.mask, strict=True)
        ]
        gates = [g for g in gates if g.size]
        spread = np.mean([g.std() for g in gates])
        assert rows[f'evidence/gate/{m}/spread'][3] == pytest.approx(spread, abs=1e-6)
        mean = np.mean([g.mean() for g in gates])
        assert rows[f'evidence/gate/{m}/mean'][3] == pytest.approx(mean, abs=1e-6)


def test_losses_and_shares_are_those_of_all_samples(trained):
    runner, rows = trained
    model, batch = runner.model.eval(), every_sample()
    loss = model.head.loss(model(batch['inputs'], mode='tensor'), batch['target']).mean()
    assert rows['loss/val'][3] == pytest.approx(loss.item(), abs=1e-6)
    assert rows['missing/visual'] == {k: pytest.approx(3 / 14) for k in (1, 2, 3)}
    assert rows['missing/audio'] == {1: 0, 2: 0, 3: 0}
    assert rows['loss/train_task'][1] < rows['loss/train'][1]
    assert all(v > 0 for v in rows['system/items_per_s'].values())
    assert rows['system/learning_rate'] == {k: 0.01 for k in range(1, 13)}


class Watch(Hook):
    """The gradient of each step of training, by autograd on a copy of the model."""

    priority = 'HIGHEST'

    def __init__(self):
        self.found = []

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        model = copy.deepcopy(runner.model).train()
        with torch.random.fork_rng():
            losses = model(**{k: data_batch[k] for k in ('inputs', 'target')}, mode='loss')
            total = sum(loss for name, loss in losses.items() if 'loss' in name)
        parts = {f'encoder_{m}': encoder for m, encoder in model.encoders.items()}
        parts |= {name: getattr(model, name) for name in ('calibrator', 'fuser', 'head')}
        self.found.append({})
        for name, part in parts.items():
            if parameters := list(part.parameters()):
                grads = torch.autograd.grad(total, parameters, retain_graph=True, allow_unused=True)
                zeros = [torch.zeros_like(p) for p in parameters]
                grads = [z if g is None else g for g, z in zip(grads, zeros, strict=True)]
                self.found[-1][name] = torch.cat([g.flatten() for g in grads])


@pytest.mark.parametrize('counts', [1, 2])
def test_gradient_norms_are_those_of_autograd_before_clipping(tmp_path, counts):
    cfg = project(tmp_path)
    cfg.optim_wrapper.update(clip_grad=dict(max_norm=1e-3), accumulative_counts=counts)
    runner, watch = Runner.from_cfg(cfg), Watch()
    runner.register_hook(watch)
    runner.train()
    rows, checked = rows_of(tmp_path), 0
    for name in watch.found[0]:
        series = rows[f'grad_norm/{name}']
        assert list(series) == list(range(counts, 13, counts))
        for step, value in series.items():
            grads = [watch.found[k][name] for k in range(step - counts, step)]
            expected = torch.stack(grads).mean(0).norm().item()
            assert value == pytest.approx(expected, rel=1e-5, abs=1e-7)
            checked += value > 1e-3
    assert checked > 20, 'clipping would have been seen'


def test_weights_random_numbers_and_optimiser_are_what_they_are_without_it(tmp_path):
    states = []
    for name, hooks in (('plain', []), ('seen', [HOOK])):
        schedule = dict(type='StepLR', step_size=1)
        runner = Runner.from_cfg(project(tmp_path / name, hooks, param_scheduler=schedule))
        runner.train()
        kept = runner.optim_wrapper.optimizer.state_dict()['state']
        states.append((runner.model.state_dict(), kept, torch.get_rng_state(), np.random.random()))
        handles = [h for part in runner.model.modules() for h in part._forward_hooks]
        step = runner.optim_wrapper.step
        assert not handles and 'gradient_tap' not in step.__code__.co_filename
        assert getattr(step, '_with_counter', False), 'the mark of the scheduler'
    (one, mine, random, number), (two, its, other, another) = states
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert all(torch.equal(mine[k][n], its[k][n]) for k in mine for n in mine[k])
    assert torch.equal(random, other) and number == another


def test_a_resumed_run_logs_what_an_uninterrupted_one_logs(tmp_path):
    seeded = dict(type='StepSeed')
    Runner.from_cfg(project(tmp_path / 'whole', [seeded, HOOK])).train()
    half = project(tmp_path / 'half', [seeded, HOOK])
    half.train_cfg.max_epochs = 2
    Runner.from_cfg(half).train()
    rest = project(tmp_path / 'half', [seeded, HOOK], resume=True)
    Runner.from_cfg(rest).train()
    whole, parts = rows_of(tmp_path / 'whole'), rows_of(tmp_path / 'half')
    assert whole.keys() == parts.keys()
    for name in [n for n in whole if '/' in n and not n.startswith(OF_SYSTEM)]:
        assert parts[name][max(parts[name])] == whole[name][max(whole[name])], name


def test_every_name_is_documented_and_every_documented_name_is_there(trained):
    _, rows = trained
    documented = set(re.findall(r'`([a-z_]+/[^`]*)`', PAGE))
    ours = {name for name in rows if '/' in name}
    plain = set()
    for name in ours:
        name = re.sub(r'^(evidence|spearman)/\w+', r'\1/<name>', name)
        name = re.sub(r'audio-visual', '<m>-<n>', name)
        plain.add(re.sub(r'audio|visual', '<m>', name).replace('encoder_<m>', '<part>'))
    plain = {re.sub(r'grad_norm/(calibrator|fuser|head)', 'grad_norm/<part>', n) for n in plain}
    assert plain - documented == set()
    groups = {name.split('/')[0] for name in plain}
    rest = {name for name in documented - plain if name.split('/')[0] in groups}
    assert rest == {'system/cuda_memory_mib', 'evidence/<name>/<m>'}, 'the last: a histogram'


def test_tensorboard_has_the_same_scalars_and_histograms(trained):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    runner, rows = trained
    folder = runner.visualizer._vis_backends['TensorboardVisBackend']._save_dir
    events = EventAccumulator(str(folder), size_guidance={'histograms': 0}).Reload()
    for name in [n for n in rows if '/' in n]:
        seen = {e.step: e.value for e in events.Scalars(name)}
        assert seen == {k: pytest.approx(v, rel=1e-5) for k, v in rows[name].items()}, name
    assert {'evidence/gate/audio', 'evidence/value/visual'} <= set(events.Tags()['histograms'])
    assert [e.step for e in events.Histograms('evidence/gate/audio')] == [1, 2, 3]
    last = events.Histograms('evidence/gate/audio')[-1].histogram_value
    model = runner.model.eval()
    inputs = every_sample()['inputs']
    encoded = {m: encoder(inputs[m]) for m, encoder in model.encoders.items()}
    gate = model.calibrator(encoded).evidence['gate']['audio'][encoded['audio'].mask]
    assert (last.num, last.sum) == (gate.numel(), pytest.approx(gate.sum().item(), rel=1e-4))


def test_few_samples_are_the_same_ones_in_every_epoch():
    hook = TrainingDynamics(samples=5)
    choices = []
    for _ in range(2):
        hook.fixed.begin(14)
        choices.append(sorted(hook.fixed.chosen))
    assert choices[0] == choices[1] and len(choices[0]) == 5
    other = TrainingDynamics(samples=5, seed=1)
    other.fixed.begin(14)
    assert sorted(other.fixed.chosen) != choices[0]


@pytest.mark.parametrize('calibrator', ['Identity', 'SE', 'UPN', 'KnowledgeGuidance', 'MMTM'])
@pytest.mark.parametrize('modalities', [('audio', 'visual'), ('audio',)])
def test_any_calibrator_and_a_single_modality(tmp_path, calibrator, modalities):
    if len(modalities) == 1 and calibrator in ('KnowledgeGuidance', 'MMTM'):
        pytest.skip('it needs two modalities')
    cfg = project(tmp_path)
    cfg.train_cfg.max_epochs = 1
    own = dict(calibrator=dict(type='UPN'), head=cfg.model.head)
    own = own if calibrator == 'KnowledgeGuidance' else {}
    cfg.model.calibrator = dict(type=calibrator, **own)
    cfg.model.encoders = {m: cfg.model.encoders[m] for m in modalities}
    for loader in ('train', 'val'):
        cfg[f'{loader}_dataloader'].dataset.modalities = modalities
    Runner.from_cfg(cfg).train()
    rows = rows_of(tmp_path)
    assert {f'contribution/{m}' for m in modalities} <= rows.keys()
    assert ('coupling/audio' in rows) == (len(modalities) == 2)


def test_amp_accumulates_and_half_precision_is_unscaled(tmp_path):
    cfg = project(tmp_path)
    cfg.optim_wrapper.type = 'Amp'
    Runner.from_cfg(cfg).train()
    norms = rows_of(tmp_path)['grad_norm/calibrator']
    assert len(norms) == 12 and all(0 < v < 1e3 for v in norms.values())
    model = SimpleNamespace(
        encoders={}, calibrator=torch.nn.Identity(), fuser=torch.nn.Identity(),
        head=torch.nn.Linear(2, 1),
    )  # fmt: skip
    wrapper = SimpleNamespace(step=lambda: None, scaler=torch.amp.GradScaler('cpu', 1024.0))
    tap = GradientTap(wrapper, lambda: None)
    wrapper.scaler.scale(model.head(torch.tensor([[3.0, 4.0]])).sum()).backward()
    assert gradient_norms(model, tap.scale) == {'head': pytest.approx(26**0.5)}


def test_a_metric_is_chosen_by_name_and_an_error_counts_negative(tmp_path):
    cfg = project(tmp_path, [dict(HOOK, metric='macro_f1')])
    cfg.train_cfg.max_epochs = 1
    Runner.from_cfg(cfg).train()
    rows = rows_of(tmp_path)
    assert rows['score/all'][1] == pytest.approx(rows['macro_f1'][1])
    cfg = project(tmp_path / 'wrong', [dict(HOOK, metric='auc')])
    with pytest.raises(ValueError, match=r"metric='auc'\), but validation gives \['accuracy'"):
        Runner.from_cfg(cfg).train()


@pytest.mark.parametrize('wrong', ['interval', 'samples', 'batch_size', 'every', 'shapley_every'])
def test_wrong_arguments_are_refused(wrong):
    with pytest.raises(ValueError, match=f'{wrong}=0.*all are 1 or more'):
        TrainingDynamics(**{wrong: 0})


def train_rank(rank, port, work_dir):
    """One of two processes; 13 samples of validation, so that one of them is validated twice."""
    os.environ.update(MASTER_ADDR='localhost', MASTER_PORT=port, WORLD_SIZE='2')
    os.environ.update(RANK=rank, LOCAL_RANK=rank)
    torch.set_num_threads(1)
    mmengine.runner.runner.collect_env = dict
    cfg = project(work_dir, [dict(HOOK, samples=6)], launcher='pytorch')
    cfg.val_dataloader.dataset.length = 13
    runner = Runner.from_cfg(cfg)
    runner.train()
    if rank == '0':
        torch.save(runner.model.module.state_dict(), Path(work_dir, 'weights.pth'))


@pytest.mark.slow
def test_two_processes_measure_each_sample_once(tmp_path):
    with socket.socket() as free:
        free.bind(('localhost', 0))
        port = str(free.getsockname()[1])
    command = [sys.executable, '-W', 'ignore', __file__]
    ranks = [subprocess.Popen([*command, rank, port, tmp_path]) for rank in '01']
    try:
        assert [rank.wait(120) for rank in ranks] == [0, 0]
    finally:
        for rank in ranks:
            rank.kill()
    rows = rows_of(tmp_path)
    model = Runner.from_cfg(project(tmp_path / 'again', [])).model.eval()
    model.load_state_dict(torch.load(tmp_path / 'weights.pth'))
    batch = collate([Tokens()[k] for k in range(13)])
    loss = model.head.loss(model(batch['inputs'], mode='tensor'), batch['target']).mean()
    assert rows['loss/val'][3] == pytest.approx(loss.item(), abs=1e-6)
    chosen = sorted(np.random.default_rng(0).choice(13, 6, replace=False).tolist())
    batch = collate([Tokens()[k] for k in chosen])
    for name, kept in (('all', ['audio', 'visual']), ('without_audio', ['visual'])):
        right = answer(model, batch, kept).argmax(-1) == batch['target']
        assert rows[f'score/{name}'][3] == pytest.approx(right.float().mean().item())
    one, other = (collate([Tokens()[k] for k in part]) for part in (chosen[:5], chosen[5:]))
    cosines = [
        torch.cosine_similarity(
            direct_gradient(model, part, ['audio']),
            direct_gradient(model, part, ['audio', 'visual']),
            dim=0,
        ).item()
        for part in (one, other)
    ]
    assert rows['coupling/audio'][3] == pytest.approx(np.mean(cosines), abs=1e-5)
    assert rows['missing/visual'][3] == pytest.approx(3 / 14, abs=0.08)  # of 14 or 16 samples


@pytest.mark.slow
def test_contributions_agree_with_the_tool_that_tests(tmp_path, monkeypatch):
    from tiny import LOADERS  # not above: the two processes, started from this file, have no `tiny`

    from mmcalib.samples.ave import generate

    root = generate(tmp_path / 'ave', train=8, val=12, test=4, processes=1)
    (root / 'sample.json').unlink()
    config_file = tmp_path / 'mine.py'
    hook = dict(type='TrainingDynamics', samples=None)
    config_file.write_text(
        f'_base_ = [{str(ROOT / "configs" / "calib_conv_ave.py")!r}]\n'
        f'custom_hooks = [*_base_.custom_hooks, {hook!r}]\n'
    )
    options = ['train_cfg.max_epochs=1', 'data.audio.0.length_s=0.5']
    options += [f'model.encoders.{m}.base_channels=8' for m in ('audio', 'visual')]
    options += LOADERS

    def run(tool, *args, more=()):
        given = [f'{tool}.py', str(config_file), *args, '--data-root', str(root)]
        monkeypatch.setattr(sys, 'argv', [*given, '--cfg-options', *options, *more])
        runpy.run_path(str(ROOT / 'tools' / f'{tool}.py'), run_name='__main__')

    run('train', '--work-dir', str(tmp_path / 'run'))
    weights, rows = str(tmp_path / 'run' / 'epoch_1.pth'), rows_of(tmp_path / 'run')

    def tested(*more):
        out = tmp_path / 'out.json'
        more = ['test_dataloader.dataset.split=val', *more]
        run('test', weights, '--out', str(out), '--work-dir', str(tmp_path / 't'), more=more)
        return json.loads(out.read_text())['accuracy']

    assert rows['score/all'][1] == pytest.approx(tested())
    for m in ('audio', 'visual'):
        drop = tested(f'missing.drop={m}')
        assert rows[f'score/without_{m}'][1] == pytest.approx(drop)
        assert rows[f'contribution/{m}'][1] == pytest.approx(rows['score/all'][1] - drop)


if __name__ == '__main__':
    train_rank(*sys.argv[1:])
