"""Measures in words and numbers: beside a line on the picture, in a row of the table, in a file."""

from __future__ import annotations

from napari_medcnn.core.measures import ANGLE, BALL, COBB, LENGTH, Measure, angle_deg, length, sides
from napari_medcnn.core.quantity import length_number, number, size_words, unit_words
from napari_medcnn.core.ruler import SQUARE_PIXELS
from napari_medcnn.imaging.region_stats import RegionStats, Values
from napari_medcnn.io.measures_file import Cell, Table
from napari_medcnn.widgets.measuring.board import Board
from napari_medcnn.widgets.wording import frame_words

RESEARCH = "Research use only, not for diagnosis"
#: Heads of the table on screen.
HEADS = ("Name", "Value", "Mean", "SD", "Min", "Max", "Area or volume", "Where", "Time", "Note")


def unit_of(board: Board) -> str:
    """Return the unit of the scan's values, "as stored" where the file states none."""
    return unit_words("" if board.scan is None else board.scan.value_unit)


def value_words(board: Board, measure: Measure) -> str:
    """Return what a measure measures: a length, an angle, the sides or the radius of a region."""
    ruler = board.ruler
    if measure.kind == LENGTH:
        return size_words(length(measure, ruler), ruler.unit)
    if measure.kind == BALL:
        return f"radius {size_words(length(measure, ruler), ruler.unit)}"
    if measure.is_region:
        width, height = sides(measure, ruler)
        return f"{length_number(width)} x {length_number(height)} {ruler.unit}"
    degrees = angle_deg(measure, ruler)
    return "no angle" if degrees is None else f"{degrees:.1f}°"


def extent_words(stats: RegionStats) -> str:
    """Return area or volume of a region; its voxels where no size of them is stated."""
    if stats.area is not None:
        return size_words(stats.area, stats.unit, 2)
    if stats.volume_mm3 is not None:
        return size_words(stats.volume_mm3, "mm", 3)
    return f"{stats.voxels} voxels"


def picture_lines(board: Board, measure: Measure) -> list[str]:
    """Return the lines that stand beside a measure on the picture."""
    note = board.ruler.note
    if note == SQUARE_PIXELS:  # lengths and areas say px
        note = "pixels taken as square" if measure.kind in (ANGLE, COBB) else ""
    lines = [] if measure.is_region else [value_words(board, measure)]
    stats = board.stats(measure)
    if stats is not None:
        lines = [*_values_lines(stats, unit_of(board)), extent_words(stats)]
    elif measure.is_region:
        lines = [value_words(board, measure)]
    return [*lines, *([note] if note else [])]


def _values_lines(stats: RegionStats, unit: str) -> list[str]:
    """Return mean and sd, then lowest and highest or, of SUV, highest and peak; of colours the means alone."""
    mean, sd, low, high = (_several(stats, name) for name in ("mean", "sd", "minimum", "maximum"))
    if not mean:
        return ["no value"]
    first = f"mean {mean} {unit}"
    if len(stats.channels) > 1:
        return [first]
    first += f", sd {sd}" if sd else ""
    peak = f", peak {number(stats.peak)}" if stats.peak is not None else ""
    return [first, f"max {high}{peak}" if unit.startswith("SUV") else f"{low} to {high}"]


def _several(stats: RegionStats, name: str) -> str:
    """Return one number, or those of all channels with strokes between; "" where there is none."""
    found = [number(getattr(channel, name)) for channel in stats.channels]
    return " / ".join(found) if all(found) else ""


def screen_row(board: Board, measure: Measure) -> tuple[str, ...]:
    """Return the cells of a row under `HEADS`."""
    stats, unit = board.stats(measure), unit_of(board)
    cells = [measure.name, value_words(board, measure)]
    if stats is None:
        cells += ["", "", "", "", "counting ..." if measure.is_region else ""]
    else:
        for name in ("mean", "sd", "minimum", "maximum"):
            words = _several(stats, name)
            cells.append(f"{words} {unit}" if words and name in ("mean", "maximum") else words)
        cells.append(extent_words(stats))
    notes = [board.ruler.note]
    if stats is not None and stats.peak is not None:
        notes.insert(0, f"SUVpeak {number(stats.peak)}")
    if stats is not None and any(channel.left_out for channel in stats.channels):
        notes.append(f"{max(c.left_out for c in stats.channels)} values that are no numbers left out")
    return (*cells, where_words(board, measure), time_words(board, measure), "; ".join(n for n in notes if n))


def where_words(board: Board, measure: Measure) -> str:
    """Return plane and slice: "axial 24 of 48"; "" for a picture."""
    grid, scan = board.grid, board.scan
    if grid is None or scan is None or max(scan.geometry.shape[0], grid.shown.shape[0]) == 1:
        return ""
    axis = display_axis(board, measure)
    return f"{grid.plane(axis) or 'slice'} {_slice(board, measure) + 1} of {grid.shown.shape[axis]}"


def display_axis(board: Board, measure: Measure) -> int:
    """Return the display axis along which the slices of a measure's plane follow."""
    return measure.axis if board.grid is None else board.grid.how.order.index(measure.axis)


def _slice(board: Board, measure: Measure) -> int:
    if board.grid is None:
        return 0
    index = board.grid.index_of(board.grid.world_of_source(measure.centre))
    return round(float(index[display_axis(board, measure)]))


def time_words(board: Board, measure: Measure) -> str:
    """Return the time point, echo or b-value; "" of a scan with one."""
    scan = board.scan
    if scan is None or scan.frames < 2:
        return ""
    words = frame_words(scan, measure.frame)
    return words or f"{measure.frame + 1} of {scan.frames}"


def file_table(board: Board, title: str, stamp: str) -> Table:
    """Return every measure for a file: one row each, one per channel for regions of several channels.

    `title` names the scan; no patient, no path. Columns keep their order, new ones come at the end. Units stand in the
    headers, "as stored" where the file states none for its values; the last column has it once more, for programs that
    put tables of several scans together. `stamp` is when: ISO 8601 with the offset from UTC.
    """
    u, unit = board.ruler.unit, f" [{unit_of(board)}]"
    header = (
        "scan", "name", "kind", f"length [{u}]", "angle [deg]", f"width [{u}]", f"height [{u}]", f"radius [{u}]",
        f"area [{u}2]", "volume [mm3]", "voxels", "channel", f"mean{unit}", f"sd{unit}", f"min{unit}", f"max{unit}",
        f"peak of 1 cm3{unit}", "plane", "slice", "time point", "time",
        "centre L [mm]", "centre P [mm]", "centre S [mm]", "note", "written", "use", "value unit",
    )  # fmt: skip
    rows = [row for m in board.measures for row in _file_rows(board, m, title, stamp)]
    return Table(header, tuple(rows))


def _file_rows(board: Board, measure: Measure, title: str, stamp: str) -> list[tuple[Cell, ...]]:
    ruler, stats = board.ruler, board.stats(measure)
    flat = measure.is_region and measure.kind != BALL
    width, height = sides(measure, ruler) if flat else (None, None)
    extent: tuple[Cell, ...] = (
        length(measure, ruler) if measure.kind == LENGTH else None,
        None if measure.is_region or measure.kind == LENGTH else angle_deg(measure, ruler),
        width,
        height,
        length(measure, ruler) if measure.kind == BALL else None,
        None if stats is None else stats.area,
        None if stats is None else stats.volume_mm3,
        None if stats is None else stats.voxels,
    )
    names = () if board.scan is None else board.scan.channel_names
    if not names and stats is not None and len(stats.channels) == 3:
        names = ("red", "green", "blue")
    channels: tuple[Values | None, ...] = (None,) if stats is None else stats.channels
    rows = []
    for index, one in enumerate(channels):
        channel = "" if len(channels) < 2 else (names[index] if index < len(names) else str(index + 1))
        values = (None,) * 4 if one is None else (one.mean, one.sd, one.minimum, one.maximum)
        peak = None if stats is None else stats.peak
        rows.append((title, measure.name, measure.kind, *extent, channel, *values, peak, *_place(board, measure),
                     board.ruler.note, stamp, RESEARCH, unit_of(board)))  # fmt: skip
    return rows


def _place(board: Board, measure: Measure) -> tuple[Cell, ...]:
    """Return plane, slice, time point, its value in words, and the centre in the patient where the file states it."""
    grid, scan = board.grid, board.scan
    if grid is None or scan is None:
        return (None,) * 7
    known = scan.geometry.orientation_known and scan.geometry.spacing_known
    lps = scan.geometry.index_to_lps(measure.centre).tolist() if known else (None, None, None)
    several = scan.frames > 1
    return (
        grid.plane(display_axis(board, measure)),
        _slice(board, measure) + 1,
        measure.frame + 1 if several else None,
        frame_words(scan, measure.frame) if several else None,
        *lps,
    )
