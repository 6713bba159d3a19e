"""The report of unreadable media: once per file, a count per epoch, silence when all is well."""

import logging
from types import SimpleNamespace

import pytest

from mmcalib.hooks import media_report
from mmcalib.hooks.media_report import MediaReport
from mmcalib.registry import HOOKS


@pytest.fixture
def runner(caplog):
    caplog.set_level(logging.INFO)
    return SimpleNamespace(logger=logging.getLogger('test_media_report'))


def batch(**reasons) -> dict:
    return {'id': list(reasons), 'unreadable': list(reasons.values())}


def said(caplog) -> list[str]:
    messages = [record.getMessage() for record in caplog.records]
    caplog.clear()
    return messages


def test_each_file_and_modality_is_one_warning_per_run_and_each_epoch_one_count(runner, caplog):
    hook = HOOKS.build({'type': 'MediaReport'})
    for epoch in range(2):
        hook.before_train_iter(runner, 0, batch(a={}, b={'audio': 'b.mp4: cut', 'visual': 'cut'}))
        hook.before_train_iter(runner, 1, batch(c={'audio': 'c.mp4: empty'}, d={}))
        expected = [
            'audio of b is treated as missing: b.mp4: cut',
            'visual of b is treated as missing: cut',
            'audio of c is treated as missing: c.mp4: empty',
        ]
        assert said(caplog) == (expected if epoch == 0 else [])
        hook.after_train_epoch(runner)
        assert said(caplog) == [
            'train: audio unreadable in 2 of 4 samples',
            'train: visual unreadable in 1 of 4 samples',
        ]
    hook.before_val_iter(runner, 0, batch(c={'audio': 'c.mp4: empty'}))
    hook.after_val_epoch(runner, metrics={})
    assert said(caplog) == ['val: audio unreadable in 1 of 1 samples']
    hook.before_test_iter(runner, 0, batch(e={'audio': 'e.mp4: empty'}))
    hook.after_test_epoch(runner, metrics={})
    assert len(said(caplog)) == 2


def test_nothing_is_said_when_all_is_well_or_the_data_set_does_not_report(runner, caplog):
    hook = MediaReport()
    hook.before_train_iter(runner, 0, batch(a={}, b={}))
    hook.before_train_iter(runner, 1, {'id': ['a']})
    hook.before_train_iter(runner, 2, None)
    hook.after_train_epoch(runner)
    assert said(caplog) == []


def test_validation_amid_an_epoch_does_not_disturb_its_count(runner, caplog):
    hook = MediaReport()
    hook.before_train_iter(runner, 0, batch(a={'audio': 'cut'}))
    hook.before_val_iter(runner, 0, batch(v={}))
    hook.after_val_epoch(runner)
    hook.before_train_iter(runner, 1, batch(b={}))
    said(caplog)
    hook.after_train_epoch(runner)
    assert said(caplog) == ['train: audio unreadable in 1 of 2 samples']


def test_counts_are_summed_over_processes_and_the_main_one_speaks_for_all(
    runner, caplog, monkeypatch
):
    mailbox = []

    def gather(mine):
        mailbox.append(mine)
        return list(mailbox)

    monkeypatch.setattr(media_report, 'all_gather_object', gather)
    main, other = MediaReport(), MediaReport()
    monkeypatch.setattr(media_report, 'is_main_process', lambda: False)
    for _ in range(2):
        other.before_train_iter(runner, 0, batch(b={'audio': 'cut'}, c={}))
    other.after_train_epoch(runner)
    assert said(caplog) == []
    monkeypatch.setattr(media_report, 'is_main_process', lambda: True)
    main.before_train_iter(runner, 0, batch(a={'audio': 'empty'}))
    assert said(caplog) == ['audio of a is treated as missing: empty']
    main.after_train_epoch(runner)
    assert said(caplog) == [
        'audio of b is treated as missing: cut',
        'train: audio unreadable in 3 of 5 samples',
    ]
