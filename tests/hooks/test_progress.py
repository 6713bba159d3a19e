"""Progress: a bar for a terminal, nothing for a file."""

import io
import logging
import sys
from types import SimpleNamespace

import pytest
import torch

from mmcalib.hooks.progress import Progress


class Terminal(io.StringIO):
    def isatty(self):
        return True


def runner(rank=0, **place):
    logger = logging.Logger('run')
    logger.addHandler(logging.StreamHandler(sys.stdout))
    place = {'iter': 0, 'epoch': 0, 'max_epochs': 2, **place}
    loader = [None] * 3
    return SimpleNamespace(
        rank=rank,
        logger=logger,
        train_dataloader=loader,
        val_dataloader=loader,
        test_dataloader=loader,
        **place,
    )


def epoch(hook, run, stage, steps=3):
    getattr(hook, f'before_{stage}_epoch')(run)
    for index in range(steps):
        getattr(hook, f'after_{stage}_iter')(run, index)


@pytest.fixture
def stderr(monkeypatch):
    """Replace the standard error; not before the test, when pytest still replaces it itself."""

    def replace(stream):
        monkeypatch.setattr(sys, 'stderr', stream)
        return stream

    return replace


@pytest.mark.parametrize('stage', ['train', 'val', 'test'])
def test_a_terminal_sees_a_bar_that_ends(stderr, stage):
    terminal = stderr(Terminal())
    hook, run = Progress(), runner()
    epoch(hook, run, stage)
    assert stage in terminal.getvalue() and '3/3' in str(hook._bar)
    getattr(hook, f'after_{stage}_epoch')(run)
    assert hook._bar is None


def test_a_file_sees_nothing(stderr):
    file = stderr(io.StringIO())
    epoch(Progress(), runner(), 'train')
    assert file.getvalue() == ''


def test_only_rank_zero_draws(stderr):
    terminal = stderr(Terminal())
    epoch(Progress(), runner(rank=1), 'train')
    assert terminal.getvalue() == ''


def test_the_loss_of_the_step_is_shown_without_its_graph(stderr):
    stderr(Terminal())
    hook, run = Progress(), runner()
    hook.before_train_epoch(run)
    loss = torch.tensor(1.25, requires_grad=True) * 1
    hook.after_train_iter(run, 0, outputs={'loss': loss})
    assert 'loss 1.25' in str(hook._bar)
    hook.after_run(run)


def test_a_resumed_epoch_begins_where_it_stopped(stderr):
    stderr(Terminal())
    hook = Progress()
    hook.before_train_epoch(runner(iter=5, epoch=1))
    assert (hook._bar.n, hook._bar.total, hook._bar.desc) == (2, 3, 'train 2/2')
    hook.after_run(runner())


def test_a_log_line_does_not_break_the_bar_and_handlers_come_back(stderr, monkeypatch):
    terminal = stderr(Terminal())
    monkeypatch.setattr(sys, 'stdout', terminal)
    hook, run = Progress(), runner()
    handlers = run.logger.handlers
    epoch(hook, run, 'train', steps=1)
    run.logger.warning('a line')
    # Before the line the bar is wiped: a carriage return stands in front, not half a bar.
    before = terminal.getvalue().partition('a line\n')[0]
    assert before.endswith('\r')
    hook.after_train_epoch(run)
    assert run.logger.handlers is handlers
