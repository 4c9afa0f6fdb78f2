"""What the tree of patients, studies and series says: plain words, made without a window."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from napari_medcnn.io.found import Found, Item, Person, Study, files_of, plain
from napari_medcnn.widgets.names import HIDDEN

#: What a row can be; each has a word and a sign of its own, never a colour alone.
RowKind = Literal["scan", "mask", "refused"]
Clean = Callable[[str], str]
_MASK, _FRAMES = "Mask", "frames"


@dataclass(frozen=True)
class SeriesRow:
    """A line of the tree that can be opened, or says why not.

    Parameters
    ----------
    item
        What it stands for.
    kind
        "refused" opens only after a question (`item.report.asks`), or not at all.
    title, size
        First and second line.
    mark
        Third line: what a reader must see, with its sign; "" if nothing is odd.
    search
        All words it is found by, lower case.
    notes
        All that was noticed, without names while they are hidden.
    """

    item: Item
    kind: RowKind
    title: str
    size: str
    mark: str
    search: str
    notes: tuple[str, ...] = ()

    @property
    def opens(self) -> bool:
        """True if it opens, be it after a question."""
        return self.kind != "refused" or bool(self.item.report.asks)

    @property
    def spoken(self) -> str:
        """All lines in one, as tool tip and for screen readers."""
        return "\n".join(line for line in (self.title, self.size, *self.notes) if line)


@dataclass(frozen=True)
class Group:
    """A patient, a study, or the plain files: a heading, further lines of it, what stands below it, and its series."""

    title: str
    more: tuple[str, ...] = ()
    groups: tuple[Group, ...] = ()
    series: tuple[SeriesRow, ...] = ()

    @property
    def count(self) -> int:
        """How many series are in it, deep down."""
        return len(self.series) + sum(group.count for group in self.groups)


def tree_of(found: Found, hidden: bool = False, clean: Clean = str) -> tuple[Group, ...]:
    """Return patients with their studies and series, in the order found, and what is not DICOM under "Files".

    A patient with one study is one heading.

    Parameters
    ----------
    found
        What lies there.
    hidden
        Names are hidden: patients are numbered and titles of plain files, which are names of files, left out.
    clean
        Takes names out of what people typed (descriptions).
    """
    patients: dict[Person, dict[str, list[Item]]] = {}
    files = []
    for item in found.items:
        if item.study is None:
            files.append(item)
        else:
            patients.setdefault(item.study.person, {}).setdefault(item.study.uid, []).append(item)
    groups = []
    for number, (person, studies) in enumerate(patients.items(), 1):
        who: tuple[str, ...] = (f"Patient {number}",)
        found_by = ""
        if any((person.name, person.id)):
            lines = tuple(line for line in person_lines(person) if line)
            # hidden or not as many lines: what stands below keeps its place
            who = (*who, *(HIDDEN for _ in lines[1:])) if hidden else lines
            found_by = "" if hidden else person_words(person)
        parts = []
        for items in studies.values():
            study = items[0].study or Study()
            title = clean(study_words(study))
            rows = tuple(_row(item, clean(item.title or item.id), f"{found_by} {title}", clean) for item in items)
            parts.append(Group(title, series=rows))
        if len(parts) == 1:
            groups.append(Group(who[0], (*who[1:], parts[0].title), series=parts[0].series))
        else:
            groups.append(Group(who[0], who[1:], groups=tuple(parts)))
    if files:
        titles = [f"File {i}" if hidden else item.title or item.id for i, item in enumerate(files, 1)]
        rows = tuple(_row(item, title, "", clean) for item, title in zip(files, titles, strict=True))
        groups.append(Group("Files", series=rows))
    return tuple(groups)


def person_words(person: Person) -> str:
    """Return name, number and birth date on one line, without what is empty; "" if nothing is stated."""
    return " · ".join(line for line in person_lines(person) if line)


def person_lines(person: Person) -> tuple[str, str]:
    """Return the name, and number and birth date; each may be empty."""
    name = " ".join(person.name.replace("^", ", ", 1).replace("^", " ").replace("=", " = ").split()).strip(" ,")
    born = f"born {person.birth_date}" if person.birth_date else ""
    return plain(name, 64), " · ".join(plain(part, 64) for part in (person.id, born) if part)


def person_names(person: Person) -> set[str]:
    """Return everything that names this person, each part of the name on its own; short parts tell nobody."""
    parts = {person.name, person.id, person.birth_date, person.birth_date.replace("-", ""), person_words(person)}
    parts |= set(person.name.replace("^", " ").replace("=", " ").replace(",", " ").split())
    return {part for part in parts if len(part) > 2}


def study_words(study: Study) -> str:
    """Return date and description of a study; a study that states neither is called so."""
    return " · ".join(plain(part) for part in (study.date, study.description) if part) or "Study without a date"


def size_words(item: Item, short: bool = False) -> str:
    """Return the size as people say it: width x height, slices; "" if unknown; `short` where space is scarce."""
    sizes = dict(zip(item.axes, item.shape, strict=False))
    if "x" not in sizes or "y" not in sizes:
        return ""
    words = f"{sizes['x']} x {sizes['y']}"
    if sizes.get("z", 1) > 1:
        words += f" x {sizes['z']}" if short else f", {sizes['z']} slices"
    if sizes.get("t", 1) > 1:
        words += f", {sizes['t']} {_FRAMES}"
    if sizes.get("c", 1) > 1:
        words += ", colour" if sizes["c"] == 3 else f", {sizes['c']} channels"
    return words


def kind_of(item: Item) -> RowKind:
    """Return whether an item is a scan, a mask, or does not open as it stands."""
    if item.kind == "other" or item.report.refused:
        return "refused"
    return "mask" if item.kind == "labels" else "scan"


def mark_of(item: Item) -> str:
    """Return the first thing that a reader must see, with its sign, "" if nothing is odd."""
    report = item.report
    refused = report.refused or (item.warnings if item.kind == "other" else ())
    if refused and report.asks:
        return f"? {refused[0]}"
    if refused or item.kind == "other":
        return f"✗ {refused[0] if refused else 'holds no image'}"
    assumed = report.assumed or item.warnings
    return f"! {assumed[0]}" if assumed else ""


def only_scan(found: Found) -> Item | None:
    """Return the one item that opens by itself, None if the user has to choose.

    Masks and what does not open do not count beside one scan; a scan that asks first does.
    """
    scans = [item for item in found.items if item.kind in ("volume", "picture")]
    if len(scans) == 1:
        return scans[0]
    return found.items[0] if not scans and len(found.items) == 1 else None


def scan_under(found: Found, mask: Item) -> Item | None:
    """Return the scan that a mask was made from, as its title names it; None if it names none, or several fit."""
    if mask.kind != "labels" or mask.study is None or not mask.title.endswith(")"):
        return None
    person = mask.study.person
    named = [
        i
        for i in found.items
        if i.kind == "volume" and i.study is not None and i.study.person == person and f"(of {i.title})" in mask.title
    ]
    own = [i for i in named if i.study is not None and i.study.uid == mask.study.uid]
    return (own or named)[0] if len(own or named) == 1 else None


def skipped_words(skipped: Sequence[tuple[str, str]]) -> str:
    """Return how many files were left out, and why if there is one reason; "" for none."""
    if not skipped:
        return ""
    count = sum(files_of(name) for name, _ in skipped)
    files = "1 file" if count == 1 else f"{count:,} files"
    reasons = {plain(reason, 60) for _, reason in skipped}
    return f"{files} left out: {reasons.pop()}" if len(reasons) == 1 else f"{files} left out"


def skipped_lines(skipped: Sequence[tuple[str, str]], hidden: bool, clean: Clean = str) -> list[str]:
    """Return how often each reason holds, the commonest first, then each file; names of files only if not hidden."""
    reasons: Counter[str] = Counter()
    for name, reason in skipped:
        reasons[plain(clean(reason), 200)] += files_of(name)
    lines = [f"{count} x {reason}" for reason, count in reasons.most_common()]
    return lines if hidden else [*lines, "", *(f"{name}: {reason}" for name, reason in skipped)]


def _row(item: Item, title: str, belongs_to: str, clean: Clean) -> SeriesRow:
    kind = kind_of(item)
    if item.kind == "labels":
        stated, _, rest = title.partition(" ")
        title = f"{_MASK} {rest}" if rest and stated == item.modality else f"{_MASK}: {title}"
    study_date = item.study.date if item.study is not None else ""
    date = item.date if item.date != study_date else ""
    modality = "" if item.modality in (*title.split(), "SEG", "RTSTRUCT") else item.modality
    size = " · ".join(part for part in (modality, size_words(item, short=bool(date)), date) if part)
    description = clean(plain(item.description))
    notes = tuple(clean(note) for note in item.warnings or item.report.warnings)
    dates = (item.date, study_date, item.date.replace("-", ""))
    search = " ".join((title, item.modality, description, *dates, belongs_to, size, *notes)).lower()
    return SeriesRow(item, kind, title, size, clean(mark_of(item)), search, notes)
