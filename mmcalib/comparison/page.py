"""One HTML page of tables and pictures that needs no other file."""

from collections.abc import Sequence

from mmcalib.comparison.dots import dots
from mmcalib.comparison.formats import Failed, body, caption, head
from mmcalib.comparison.provenance import Provenance
from mmcalib.comparison.rows import Table
from mmcalib.plots.report import NOTICE, heading, page, paragraph, picture, table
from mmcalib.plots.style import png


def as_page(tables: Sequence[Table], failed: Failed = ()) -> str:
    """Each table with its picture, its remarks and where its rows come from; then what failed."""
    parts = [paragraph(NOTICE, mark=True)] if any(t.sample_data for t in tables) else []
    for one in tables:
        title = str(one.group)
        origins = [[row.method, *row.provenance] for row in one.rows]
        parts += [heading(title), paragraph(caption(one))]
        parts += [picture(png(dots(one, 'sample data' if one.sample_data else '')), title)]
        parts += [wide(table(head(one), body(one)))]
        parts += [paragraph(text) for text in one.notes]
        parts += [wide(table(['method', *Provenance._fields], origins))]
    if failed:
        parts += [heading('Failed runs'), wide(table(['run', 'error'], failed))]
    if not tables:
        parts.append(paragraph('No run has finished.'))
    return page('Comparison', parts)


def wide(html: str) -> str:
    """Something that scrolls sideways where it is wider than the page."""
    return f'<div style="overflow-x: auto">{html}</div>'
