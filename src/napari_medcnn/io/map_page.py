"""A saliency map as one page of HTML that stands alone: scan, mask, map, check, curves, and how it was made."""

from __future__ import annotations

import base64
import html
import json

from napari_medcnn.core.geometry import Array
from napari_medcnn.core.saliency import CAUTION, METHODS, Check, Curve, SaliencyMap
from napari_medcnn.core.volume import LabelMap, Volume
from napari_medcnn.io.map_pictures import map_picture, scan_picture, slice_of
from napari_medcnn.io.pictures_out import png_bytes

_STYLE = (
    "body{font-family:sans-serif;margin:2em;max-width:66em}td,th{padding:.2em .8em;text-align:left}"
    "figure{display:inline-block;margin:0 1em 1em 0;vertical-align:top}pre{white-space:pre-wrap;background:#f3f3f3;"
    "padding:1em}.caution{font-weight:bold}"
)
_WIDE, _HIGH = 300, 170


def map_page(made: SaliencyMap, volume: Volume, mask: LabelMap | None = None, name: str = "") -> str:
    """Return the page; no scripts, no links, and nothing that names a patient or a file unless `name` is given.

    Parameters
    ----------
    volume, mask
        The scan that was explained, and a mask on its grid whose outline is shown.
    name
        What to call the scan.
    """
    word = html.escape
    method = METHODS[made.method]
    part = slice_of(made, volume, mask, int(made.provenance.options.get("frame", 0)))
    model = made.provenance.model
    pictures = [_figure(scan_picture(part), "The scan")]
    if part.mask is not None:
        pictures.append(_figure(scan_picture(part, with_mask=True), "The mask, outlined in green"))
    pictures.append(_figure(map_picture(part, made), f"The map ({method.title})"))
    where = f"Slice {part.number} of {part.count}, the one with the largest value. " if part.count > 1 else ""
    notes = "".join(f"<li>{word(text)}</li>" for text in dict.fromkeys((method.warning, *made.warnings)) if text)
    facts = {"layer": made.layer or "-", "score": f"{made.score:.6g}", **dict(made.facts)}
    rows = "".join(f"<tr><th>{word(str(k))}</th><td>{word(str(v))}</td></tr>" for k, v in facts.items())
    named = f"<p>{word(name)}</p>" if name else ""
    record = json.dumps(made.provenance.to_json(), indent=1, ensure_ascii=False)
    return (
        '<!DOCTYPE html><html lang="en"><meta charset="utf-8">'
        f"<title>Why: {word(made.target)}</title><style>{_STYLE}</style>"
        f"<h1>Why: {word(made.target)}</h1>"
        f"{named}<p>Model {word(str(model.get('name', '')))} {word(str(model.get('version', '')))}. "
        f"{word(method.title)}: {word(method.line[0].lower() + method.line[1:])}.</p>"
        f'<p class="caution">{word(CAUTION)}</p>'
        f"<div>{''.join(pictures)}</div><p>{where}Values are not smoothed; the colours end at the value in the legend."
        f"</p><ul>{notes}</ul>{_checked(made.check)}"
        f"<h2>How this was made</h2><table>{rows}</table><pre>{word(record)}</pre>"
        f"<p>{word(made.provenance.research_use)}</p></html>\n"
    )


def _figure(picture: Array, words: str) -> str:
    data = base64.b64encode(png_bytes(picture)).decode("ascii")
    escaped = html.escape(words)
    return (
        f'<figure><img alt="{escaped}" src="data:image/png;base64,{data}"><figcaption>{escaped}</figcaption></figure>'
    )


def _checked(check: Check | None) -> str:
    if check is None:
        return "<h2>Check</h2><p>Nobody checked whether this map depends on the model.</p>"
    steps = "".join(
        f"<tr><td>{html.escape(s.layer)}</td><td>{s.rank:.2f}</td><td>{s.similarity:.2f}</td></tr>"
        for s in check.cascade
    )
    numbers = {
        "Rank correlation between two seeds": check.repeatability,
        "Share of the map inside the mask": check.energy,
        "Area under precision and recall": check.auprc,
        "Both by chance (share of voxels in the mask)": check.prevalence,
    }
    lines = [f"<tr><th>{k}</th><td>{v:.3f}</td></tr>" for k, v in numbers.items() if v is not None]
    if check.pointing is not None:
        lines.append(f"<tr><th>Largest value inside the mask</th><td>{'yes' if check.pointing else 'no'}</td></tr>")
    drawn = [_curve(c, n) for c, n in ((check.insertion, "Insertion"), (check.deletion, "Deletion")) if c is not None]
    table = f"<table><tr><th>Random down to layer</th><th>rank correlation</th><th>SSIM</th></tr>{steps}</table>"
    return (
        f"<h2>Check: {html.escape(check.badge)}</h2><p>{html.escape(check.words)}</p>{table if steps else ''}"
        f"<table>{''.join(lines)}</table>{''.join(drawn)}"
    )


def _curve(curve: Curve, title: str) -> str:
    """Return one curve and its random rival as a drawing."""
    values = (*curve.score, *curve.random)
    low, high = min(values), max(values)
    height = (high - low) or 1.0

    def line(scores: tuple[float, ...]) -> str:
        return " ".join(
            f"{60 + x * (_WIDE - 70):.1f},{10 + (high - y) / height * (_HIGH - 40):.1f}"
            for x, y in zip(curve.share, scores, strict=True)
        )

    return (
        f'<figure><svg width="{_WIDE}" height="{_HIGH}" role="img" font-size="11" fill="none">'
        f'<path d="M60 10V{_HIGH - 30}H{_WIDE - 10}" stroke="#888"/>'
        f'<polyline points="{line(curve.random)}" stroke="#888" stroke-dasharray="4 3" stroke-width="2"/>'
        f'<polyline points="{line(curve.score)}" stroke="#0072b2" stroke-width="2"/>'
        f'<g fill="#222"><text x="2" y="16">{high:.3g}</text><text x="2" y="{_HIGH - 32}">{low:.3g}</text>'
        f'<text x="60" y="{_HIGH - 14}">0</text><text x="{_WIDE - 60}" y="{_HIGH - 14}">all voxels</text></g></svg>'
        f"<figcaption>{title}: score, area {curve.area:.3g}; dashed: random order, area {curve.random_area:.3g}"
        "</figcaption></figure>"
    )
