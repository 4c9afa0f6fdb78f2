"""Named, coloured classes of a mask."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from napari_medcnn.errors import InputError

Colour = tuple[int, int, int]

#: Okabe and Ito's palette, tellable apart with colour-blind eyes (jfly.uni-koeln.de/color, 2008), black left out.
OKABE_ITO: tuple[Colour, ...] = (
    (230, 159, 0),
    (86, 180, 233),
    (0, 158, 115),
    (240, 228, 66),
    (0, 114, 178),
    (213, 94, 0),
    (204, 121, 167),
)

_DARKER = 4
#: Colours that `default_colour` gives before it begins again.
SHADES = len(OKABE_ITO) * _DARKER
_KEYS = frozenset({"id", "name", "colour", "code", "finished"})


def default_colour(label_id: int) -> Colour:
    """Return the palette colour of a class id; ids beyond the palette get darker repeats."""
    base = OKABE_ITO[(label_id - 1) % len(OKABE_ITO)]
    shade = 0.75 ** ((label_id - 1) // len(OKABE_ITO) % _DARKER)
    return (round(base[0] * shade), round(base[1] * shade), round(base[2] * shade))


@dataclass(frozen=True)
class Label:
    """One class: its id in the mask (1 and up; 0 is background), name, colour (0..255) and optional code.

    `code` is a coded concept as ``scheme:value`` (for instance ``SCT:10200004``), None if unknown. `finished` if a
    person said that nothing is left to draw of it.
    """

    id: int
    name: str
    colour: Colour
    code: str | None = None
    finished: bool = False

    def __post_init__(self) -> None:
        if not isinstance(self.id, int) or isinstance(self.id, bool) or not 1 <= self.id <= 65535:
            raise InputError(f"label id: expected a whole number from 1 to 65535, got {self.id!r}")
        if not self.name.strip() or len(self.name) > 200 or any(ord(c) < 32 for c in self.name):
            raise InputError(f"label name: expected 1 to 200 printable characters, got {self.name[:60]!r}")
        if len(self.colour) != 3 or any(not 0 <= int(c) <= 255 for c in self.colour):
            raise InputError(f"label colour: expected three numbers from 0 to 255, got {self.colour!r}")
        if not isinstance(self.finished, bool):
            raise InputError(f"label finished: expected true or false, got {self.finished!r}")
        object.__setattr__(self, "colour", tuple(int(c) for c in self.colour))


@dataclass(frozen=True)
class LabelSet:
    """The classes of a mask, in order of id; ids and names are unique.  May be empty."""

    labels: tuple[Label, ...] = ()

    def __post_init__(self) -> None:
        ordered = tuple(sorted(self.labels, key=lambda label: label.id))
        for what, values in (("id", [str(x.id) for x in ordered]), ("name", [x.name for x in ordered])):
            repeated = {v for v in values if values.count(v) > 1}
            if repeated:
                raise InputError(f"labels: expected every {what} once, got repeats of {sorted(repeated)}")
        object.__setattr__(self, "labels", ordered)

    @classmethod
    def from_names(cls, names: list[str] | tuple[str, ...], first_id: int = 1) -> LabelSet:
        """Name classes first_id, first_id + 1, ... with the default colours."""
        return cls(tuple(Label(i, n, default_colour(i)) for i, n in enumerate(names, first_id)))

    @classmethod
    def for_ids(cls, ids: list[int] | tuple[int, ...]) -> LabelSet:
        """Name unnamed ids "Class 1", "Class 7"; 0 is left out."""
        return cls(tuple(Label(int(i), f"Class {int(i)}", default_colour(int(i))) for i in sorted(set(ids)) if i != 0))

    def __iter__(self) -> Iterator[Label]:
        return iter(self.labels)

    def __len__(self) -> int:
        return len(self.labels)

    def __contains__(self, label_id: object) -> bool:
        return any(label.id == label_id for label in self.labels)

    @property
    def ids(self) -> tuple[int, ...]:
        """Ids in rising order, without background."""
        return tuple(label.id for label in self.labels)

    @property
    def names(self) -> tuple[str, ...]:
        """Names in order of id."""
        return tuple(label.name for label in self.labels)

    @property
    def finished(self) -> frozenset[int]:
        """Ids of the classes that a person marked as finished."""
        return frozenset(label.id for label in self.labels if label.finished)

    def by_id(self, label_id: int) -> Label:
        """Return the class of an id.

        Raises
        ------
        InputError
            There is no such id.
        """
        for label in self.labels:
            if label.id == label_id:
                return label
        raise InputError(f"label id: expected one of {self.ids}, got {label_id}")

    def name_of(self, label_id: int) -> str:
        """Return the name for the status bar: "background" for 0, "Class n" for an id without a name."""
        if label_id == 0:
            return "background"
        return self.by_id(label_id).name if label_id in self else f"Class {label_id}"

    def with_label(self, label: Label) -> LabelSet:
        """Return a set in which `label` is added or replaces the class of its id."""
        return LabelSet(tuple(x for x in self.labels if x.id != label.id) + (label,))

    def without(self, label_id: int) -> LabelSet:
        """Return a set without that id."""
        return LabelSet(tuple(x for x in self.labels if x.id != label_id))

    def unfinished(self) -> LabelSet:
        """Return a set with the same classes, none of them finished: for a mask that begins empty."""
        return LabelSet(tuple(replace(x, finished=False) for x in self.labels))

    def covering(self, ids: list[int] | tuple[int, ...]) -> LabelSet:
        """Return a set in which every id but 0 has a name; names already here are kept."""
        extra = tuple(x for x in LabelSet.for_ids(ids) if x.id not in self)
        taken = set(self.names)
        return LabelSet(
            self.labels + tuple(x if x.name not in taken else replace(x, name=f"{x.name} (unnamed)") for x in extra)
        )

    @property
    def smallest_dtype(self) -> str:
        """``"uint8"`` while every id fits, else ``"uint16"``: ids never wrap."""
        return "uint8" if not self.labels or self.labels[-1].id <= 255 else "uint16"

    def to_json(self) -> list[dict[str, object]]:
        """Return plain JSON types; only finished classes say whether they are, so that older readers take the rest."""
        plain: list[dict[str, object]] = [
            {"id": x.id, "name": x.name, "colour": list(x.colour), "code": x.code} for x in self.labels
        ]
        return [{**item, "finished": True} if x.finished else item for item, x in zip(plain, self.labels, strict=True)]

    @classmethod
    def from_json(cls, items: object) -> LabelSet:
        """Read what `to_json` wrote.

        Raises
        ------
        InputError
            The list has another form.
        """
        if not isinstance(items, list):
            raise InputError(f"labels: expected a list of classes, got {type(items).__name__}")
        labels = []
        for item in items:
            if not isinstance(item, dict) or not {"id", "name"} <= set(item) <= _KEYS:
                raise InputError(
                    f"labels: expected id, name, colour, code, finished in each class, got {str(item)[:80]}"
                )
            colour = item.get("colour") or default_colour(int(item["id"]))
            finished = item.get("finished", False)
            labels.append(Label(item["id"], str(item["name"]), tuple(colour), item.get("code"), finished))
        return cls(tuple(labels))
