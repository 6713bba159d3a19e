"""The table of a comparison, in four formats."""

import os
from collections.abc import Sequence
from pathlib import Path

from mmcalib.comparison.formats import Failed, as_csv, as_latex, as_markdown
from mmcalib.comparison.page import as_page
from mmcalib.comparison.result import Result
from mmcalib.comparison.rows import BASELINE, make_tables


def write(
    results: Sequence[Result],
    out: Path,
    failed: Failed = (),
    baseline: str = BASELINE,
    metric: str | None = None,
) -> str:
    """Write table.md, table.csv, table.tex and table.html; returns the Markdown.

    Args:
        results: of finished runs, in the order of the rows.
        out: folder.
        failed: name and error of runs that did not finish.
        baseline: method that the others are compared with.
        metric: of the test set; None: the one that the runs selected by.

    Raises:
        ValueError: as `make_tables` does.
    """
    tables = make_tables(results, baseline, metric)
    markdown = as_markdown(tables, failed)
    texts = {
        'md': markdown,
        'csv': as_csv(tables),
        'tex': as_latex(tables, failed),
        'html': as_page(tables, failed),
    }
    out.mkdir(parents=True, exist_ok=True)
    for kind, text in texts.items():
        fresh = out / f'.table.{kind}.{os.getpid()}.tmp'  # another process may write the same table
        fresh.write_text(text, encoding='utf-8')
        fresh.replace(out / f'table.{kind}')
    return markdown
