"""Everything that is written on a flat view, put together so that nothing covers anything."""

from __future__ import annotations

from napari_medcnn.core.volume import Volume
from napari_medcnn.widgets.views.banner import draw_banner
from napari_medcnn.widgets.views.corners import Around, Corners, draw_corners
from napari_medcnn.widgets.views.frame import Frame
from napari_medcnn.widgets.views.letters import draw_edges, edges_of
from napari_medcnn.widgets.views.scale_bar import bar_width, draw_scale_bar
from napari_medcnn.widgets.views.sheet import Sheet


def draw_page(sheet: Sheet, frame: Frame, scan: Volume | None, corners: Corners, banner: str = "") -> None:
    """Write banner, corners, scale bar and the letters of the sides of a scan on a flat view."""
    from_top = draw_banner(sheet, banner)
    edges = edges_of(scan, frame)
    letter = max(sheet.width_of(edges.top, sheet.large), sheet.width_of(edges.bottom, sheet.large))
    unit = "mm" if scan is not None and scan.geometry.spacing_known else "px"
    free = draw_corners(sheet, corners, Around(from_top, letter, bar_width(sheet, frame.zoom, unit)))
    draw_scale_bar(sheet, frame.zoom, unit, free)
    draw_edges(sheet, edges, from_top)
