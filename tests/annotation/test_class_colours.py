"""A new class has a colour of its own, whatever colours the classes have that are there."""

from __future__ import annotations

from napari_medcnn.annotation.class_steps import add, free_colour
from napari_medcnn.core.labels import OKABE_ITO, Label, LabelSet, default_colour


def test_a_new_class_takes_the_colour_of_its_id_or_the_first_free_one() -> None:
    vessel = Label(1, "vessel", OKABE_ITO[1])  # a model gave it the colour of class 2
    assert add(LabelSet((vessel,)), "kidney").labels.by_id(2).colour == OKABE_ITO[0]
    named = LabelSet.from_names(["a", "b"])
    assert add(named, "c").labels.by_id(3).colour == OKABE_ITO[2]
    assert free_colour(LabelSet(), 5) == OKABE_ITO[4]


def test_every_class_differs_as_long_as_there_are_colours() -> None:
    labels = LabelSet((Label(1, "vessel", OKABE_ITO[1]),))
    for number in range(2, 29):
        labels = add(labels, f"class {number}").labels
    assert len({label.colour for label in labels}) == 28  # seven colours in four shades
    more = add(labels, "one more").labels  # all are taken: that of its id again
    assert more.by_id(29).colour == default_colour(29) == OKABE_ITO[0]
