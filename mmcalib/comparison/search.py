"""Search settings for several methods with one budget each, on the validation split only."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

from mmcalib.comparison.command import values
from mmcalib.comparison.execute import state
from mmcalib.comparison.grid import Run, method_name
from mmcalib.comparison.pool import Executor, do_all
from mmcalib.config import plain
from mmcalib.hooks.run_record import RECORD
from mmcalib.verification.splits import is_test

UNTESTED = {'test_dataloader': None, 'test_cfg': None, 'test_evaluator': None}


class Range(NamedTuple):
    """Numbers from low to high, both possible: whole ones if both are."""

    low: float
    high: float
    log: bool = False  # equal chances for equal ratios


Space = Mapping[str, Range | Sequence[Any]]  # option to its range, or to a list of what it may be


class Trial(NamedTuple):
    """One run of a search."""

    method: str
    number: int
    options: dict[str, Any]
    value: float | None  # of the metric on the validation split; None: it failed
    command: str


def search(
    methods: Sequence[Run],
    space: Space,
    trials: int,
    executor: Executor,
    at_once: int,
    seed: int = 0,
) -> list[Trial]:
    """Try as many settings of every method, without a look at the test split.

    Optuna's TPE (Bergstra et al., "Algorithms for Hyper-Parameter Optimization", NeurIPS 2011)
    chooses for each method from that method's own trials. Its first ten are random and the same for
    all. It takes the same turns when it is started again, and finds its runs done; a trial that
    failed stays a failure.

    Args:
        methods: a run of each; its trials have its options and seed, and folders beside its own.
        space: of the options that are searched.
        trials: of each method; failed ones count.
        executor: what does the runs.
        at_once: runs at a time; one of each method is the most, since a trial waits for the last.
        seed: of the sampler.

    Raises:
        ModuleNotFoundError: optuna is not installed.
        ValueError: the config selects no checkpoint by one metric of validation, or validates on
            the test split; a folder holds a trial of other settings.
    """
    try:
        import optuna
    except ModuleNotFoundError:
        raise ModuleNotFoundError("A search needs optuna: pip install 'mmcalib[search]'") from None
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    studies = [
        optuna.create_study(direction=direction(run), sampler=optuna.samplers.TPESampler(seed=seed))
        for run in methods
    ]
    found: list[Trial] = []
    for number in range(trials):
        asked = [study.ask() for study in studies]
        runs = [
            trial_run(run, number, {key: suggest(trial, key, of) for key, of in space.items()})
            for run, trial in zip(methods, asked, strict=True)
        ]
        # To try a failed one again would change the history, and with it all later trials.
        do_all([run for run in runs if state(run).name != 'failed'], executor, at_once)
        for study, trial, run in zip(studies, asked, runs, strict=True):
            value = value_of(run)
            if value is None:
                study.tell(trial, state=optuna.trial.TrialState.FAIL)
            else:
                study.tell(trial, value)
            method = method_name(run.calibrator, run.balancing)
            found.append(Trial(method, number, dict(run.tuned), value, run.command))
    return found


def trial_run(run: Run, number: int, options: Mapping[str, Any]) -> Run:
    """The run of one trial; it has no test split."""
    folder = run.folder.with_name(f'{run.name}-trial{number}')
    return run._replace(folder=folder, options={**run.options, **UNTESTED}, tuned=dict(options))


def suggest(trial: Any, key: str, of: Range | Sequence[Any]) -> Any:
    """What the sampler chooses for one option."""
    if not isinstance(of, Range):
        return trial.suggest_categorical(key, list(of))
    whole = isinstance(of.low, int) and isinstance(of.high, int)
    return (trial.suggest_int if whole else trial.suggest_float)(key, of.low, of.high, log=of.log)


def direction(run: Run) -> Literal['minimize', 'maximize']:
    """Whether the metric that selects checkpoints is to rise or to fall."""
    cfg = run.load()
    checkpoint = cfg.get('default_hooks', {}).get('checkpoint') or {}
    val = plain(cfg.val_dataloader.dataset) if cfg.get('val_dataloader') else {}
    if is_test(val, None, None):
        raise ValueError(
            f'{run.path} validates on the test split (split={val.get("split")!r}, '
            f'validation={val.get("validation")!r}); a search needs a validation split of its own'
        )
    if not isinstance(checkpoint.get('save_best'), str):
        raise ValueError(
            f'{run.path} has save_best={checkpoint.get("save_best")!r}; a search needs one metric '
            'of validation, such as default_hooks.checkpoint.save_best=accuracy'
        )
    return 'minimize' if checkpoint.get('rule') == 'less' else 'maximize'


def value_of(run: Run) -> float | None:
    """What validation gave its best checkpoint."""
    if state(run).name != 'done':
        return None
    selection = json.loads((run.folder / RECORD).read_text())['selection']
    return selection and selection['value']


def best(trials: Sequence[Trial], lower: bool = False) -> dict[str, Trial]:
    """The best trial of every method that has one; of equals, the first."""
    found: dict[str, Trial] = {}
    for trial in trials:
        if trial.value is None:
            continue
        now = found.get(trial.method)
        sign = -1 if lower else 1
        if now is None or now.value is None or sign * trial.value > sign * now.value:
            found[trial.method] = trial
    return found


def parse_space(given: Sequence[str]) -> dict[str, Range | list[Any]]:
    """'a=1e-4..1e-2:log', 'b=32..256', 'c=sum,mean' -> the space; values as in `--cfg-options`.

    Raises:
        ValueError: not of these forms, or an empty range.
    """
    space: dict[str, Range | list[Any]] = {}
    for text in given:
        key, _, of = text.partition('=')
        low, dots, high = of.partition('..')
        if not key or not of:
            raise ValueError(f'--space {text}; {FORMS}')
        if not dots:
            space[key] = values(of)
            continue
        high, colon, log = high.partition(':')
        ends = [*values(low), *values(high)]
        numbers = [end for end in ends if type(end) in (int, float)]
        if not len(numbers) == len(ends) == 2 or (colon and log != 'log'):
            raise ValueError(f'--space {text}; {FORMS}')
        least, most = numbers
        space[key] = Range(least, most, log == 'log')
        if not least < most or (log and least <= 0):
            raise ValueError(f'--space {text}: the range is empty, or its logarithm is')
    return space


FORMS = 'KEY=1e-4..1e-2:log, KEY=32..256 and KEY=A,B are possible'
