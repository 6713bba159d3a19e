"""One HTML file that holds everything: text, tables and pictures."""

from base64 import b64encode
from collections.abc import Sequence
from html import escape

NOTICE = 'SAMPLE DATA: small synthetic clips. Numbers on them say nothing about a real data set.'
STYLE = """
body { font: 15px/1.5 sans-serif; margin: 2em auto; max-width: 1800px; padding: 0 1em; color: #222 }
table { border-collapse: collapse; margin: 1em 0; font-size: 13px }
td, th { border-bottom: 1px solid #ccc; padding: .2em .8em; text-align: right; white-space: nowrap }
td:first-child, th:first-child, td:nth-child(2), th:nth-child(2) { text-align: left }
img { max-width: 100%; display: block; margin: 1em 0 }
.mark { background: #fde8d0; padding: .6em 1em; border-left: 4px solid #D55E00 }
"""


def page(title: str, parts: Sequence[str]) -> str:
    """A whole page of parts that are HTML."""
    head = f'<meta charset="utf-8"><title>{escape(title)}</title><style>{STYLE}</style>'
    body = '\n'.join([f'<h1>{escape(title)}</h1>', *parts])
    return f'<!DOCTYPE html>\n<html lang="en"><head>{head}</head>\n<body>\n{body}\n</body></html>\n'


def heading(text: str) -> str:
    """A section."""
    return f'<h2>{escape(text)}</h2>'


def paragraph(text: str, mark: bool = False) -> str:
    """Words; `mark` makes them a warning."""
    return f'<p{" class=mark" if mark else ""}>{escape(text)}</p>'


def picture(png: bytes, title: str) -> str:
    """A PNG inside the page."""
    return f'<img alt="{escape(title)}" src="data:image/png;base64,{b64encode(png).decode()}">'


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Cells of text."""
    lines = [''.join(f'<th>{escape(cell)}</th>' for cell in head)]
    lines += [''.join(f'<td>{escape(cell)}</td>' for cell in row) for row in rows]
    return '<table>\n' + '\n'.join(f'<tr>{line}</tr>' for line in lines) + '\n</table>'
