"""What a user agrees to, as flags of the command line and as words of Python."""

from __future__ import annotations

from napari_medcnn.core.consent import NONE, Consent

#: The flag that gives a consent, by the field of `Consent` that a refusal asks for.
ASKED = {
    "resample": "--resample",
    "duplicates": "--duplicates first (or last)",
    "damaged": "--damaged",
    "large": "--large",
    "complex_part": "--complex magnitude (or phase, real, imaginary)",
    "unnumbered": "--unnumbered",
}


def flags_of(consent: Consent) -> list[str]:
    """Return the flags that give this consent; [] for none."""
    words = [f"--{name}" for name in ("resample", "damaged", "large", "unnumbered") if getattr(consent, name)]
    words += ["--duplicates", consent.duplicates] if consent.duplicates != NONE.duplicates else []
    return words + (["--complex", consent.complex_part] if consent.complex_part != NONE.complex_part else [])


def python_of(consent: Consent) -> str:
    """Return the expression that makes this consent after ``import napari_medcnn as mc``."""
    return f"mc.Consent({', '.join(f'{name}={value!r}' for name, value in consent.to_json().items())})"
