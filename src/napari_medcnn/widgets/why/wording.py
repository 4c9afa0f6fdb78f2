"""What is said about maps, in words for people."""

from __future__ import annotations

from napari_medcnn.core.command import CommandModel
from napari_medcnn.core.saliency import METHODS, Badge, SaliencyMap
from napari_medcnn.io.packages import Package

Model = Package | CommandModel
#: Methods of the first level, in this order.
FIRST = tuple(name for name, method in METHODS.items() if method.plain)
MORE = tuple(name for name, method in METHODS.items() if not method.plain)
#: What the check says, as it stands beside a map and on pictures.
BADGES: dict[Badge, str] = {
    "not checked": "not checked",
    "depends on the model": "depends on the model",
    "weakly": "depends weakly on the model",
    "no": "no: does not depend on the model",
}
#: What takes longer says so before it is asked for.
LONG_S = 60.0
LONG = "You can go on reading meanwhile; Esc stops it."
EMPTY = "The map is empty: nothing raised the score by this method."


def method_words(name: str) -> str:
    """Return what a method is called in the window: plain words where there are any, else its name."""
    method = METHODS[name]
    return method.plain or method.title


def in_window(words: str) -> str:
    """Return an error with the methods called as in the window: "the method grad-cam" is what a command takes."""
    for name in sorted(METHODS, key=len, reverse=True):
        words = words.replace(f"method {name}", f"method “{method_words(name)}”")
    return words


def sentence(words: str) -> str:
    """Return words with a full stop."""
    return words if words.endswith((".", "!", "?")) else f"{words}."


def badge_words(made: SaliencyMap) -> str:
    """Return the verdict in words: "Check: depends on the model"."""
    return f"Check: {BADGES[made.badge]}"


def is_muted(made: SaliencyMap) -> bool:
    """Return True for a map that nobody should lean on: unchecked, or failed the check."""
    return made.badge != "depends on the model"


def class_of(made: SaliencyMap) -> str:
    """Return the class that was asked about."""
    return str(made.provenance.options.get("target", ""))


def name_of(made: SaliencyMap) -> str:
    """Return what a map is called in lists and under the cursor; a place is counted as in the readout (x, y, z)."""
    against = "against " if made.provenance.options.get("negate") else ""
    words = method_words(made.method)
    words = words[0].lower() + words[1:] if METHODS[made.method].plain else words
    voxel = made.provenance.options.get("voxel")
    where = f" at {', '.join(str(n) for n in reversed(voxel))}" if voxel else ""
    return f"Why: {words}, {against}{class_of(made)}{where}"


def time_words(seconds: float | None) -> str:
    """Return "about 3 s", "about 2 min"; "" where it is not known."""
    if seconds is None:
        return ""
    if seconds < 1:
        return "under 1 s"
    return f"about {seconds:.0f} s" if seconds < 90 else f"about {seconds / 60:.0f} min"


def part_words(number: int, count: int) -> str:
    """Return what a layer of the network is called: "Part 3 of 12, early"."""
    where = ("early", "middle", "late")[min(2, 3 * (number - 1) // max(1, count))]
    return f"Part {number} of {count}, {where}"


def why_not(model: Model | None, method: str) -> str:
    """Return why a model cannot be asked by a method, "" if it can."""
    if model is None:
        return "Choose a model first."
    if isinstance(model, CommandModel):
        return (
            "This model is a program of its own and cannot be asked in the window. On the command line, "
            "“medcnn explain --method occlusion” can: it runs the program once for each piece of the scan."
        )
    if METHODS[method].needs != "answers" and model.kinds[0] == "onnx":
        return f"An ONNX model gives answers only, nothing inside it can be followed; take {FIRST_ANSWERS}."
    return ""


#: The method of the first level that every model can do.
FIRST_ANSWERS = next(f"“{METHODS[name].plain}”" for name in FIRST if METHODS[name].needs == "answers")


def lines_of(made: SaliencyMap) -> list[str]:
    """Return what stands below a map: what was asked, its size, and what the method says of itself."""
    method = METHODS[made.method]
    lines = [sentence(method.line)]
    if method.warning:
        lines.append(f"!  {method.warning}")
    lines += [f"!  {sentence(words)}" for words in made.warnings]
    return lines


def check_lines(made: SaliencyMap) -> list[str]:
    """Return what the check found, in words; [] before it was made."""
    check = made.check
    if check is None:
        return []
    lines = [sentence(check.words)]
    if check.repeatability is not None:
        lines.append(f"Again with another seed: correlation {check.repeatability:.2f}.")
    if check.energy is not None:
        inside = f"{check.energy:.0%}".replace("%", " %")
        chance = "" if check.prevalence is None else f" (by chance {check.prevalence:.1%})".replace("%", " %")
        lines.append(f"Inside the corrected mask: {inside} of the map{chance}.")
    if check.pointing is not None:
        lines.append(f"Its highest value lies {'inside' if check.pointing else 'outside'} the corrected mask.")
    if check.auprc is not None:
        lines.append(f"Precision and recall against it: area {check.auprc:.2f}.")
    return lines
