"""Every error the package raises on purpose.

None derives from ``RuntimeError``: superqt's generator workers swallow that class without any signal, and the
window would stay "busy" forever.  Each message names the argument or file, what was expected, what came, and what
to do next; it is shown to people as it stands.
"""

from __future__ import annotations


class MedcnnError(Exception):
    """Base of all named errors."""


class InputError(MedcnnError):
    """A file, folder, array or argument is not what it must be."""


class IncompleteFileError(InputError):
    """A file is shorter than its own header says, or its checksum does not match."""


class UnsupportedError(InputError):
    """The content is valid as far as we can tell, but this version does not read it; the message says what does."""


class GeometryError(InputError):
    """A grid is not usable: singular, sheared, uneven, of unknown spacing where millimetres are needed."""


class ConsentNeededError(InputError):
    """The image opens only if the user agrees to something; the message says to what, and what it costs.

    Parameters
    ----------
    message
        What is wrong and what agreeing would do.
    asks
        The field of `core.consent.Consent` that opens it: "resample", "duplicates", "damaged", "large", "complex_part",
        "unnumbered".
    """

    def __init__(self, message: str, asks: str) -> None:
        super().__init__(message)
        self.asks = asks


class SaveError(MedcnnError):
    """A file could not be written, or what was written does not read back equal; the old file is intact."""


class ChangedOnDiskError(SaveError):
    """Another program wrote to the file since it was opened; it is not written over unasked."""


class ModelError(MedcnnError):
    """A model cannot be opened, or gives an output that must not be shown as a result."""


class UnsafeModelError(ModelError):
    """A model asks for something we never run: code, files, addresses; the message names it."""


class MissingExtraError(MedcnnError):
    """An optional package is needed; the message names the feature, the package and the command."""


class ProjectError(MedcnnError):
    """An annotation project, journal or dataset table is missing, damaged, locked or inconsistent."""


class MaskHeldError(ProjectError):
    """Another window has the mask open; it can be looked at, saved elsewhere, or taken over once somebody was asked."""


class Cancelled(MedcnnError):  # noqa: N818 - a state, not a fault
    """The user stopped the work; nothing was changed."""


class EngineError(MedcnnError):
    """The engine process failed, crashed or was killed.

    Parameters
    ----------
    message
        What happened and what to do next.
    state
        ``"failed"``, ``"crashed"``, ``"killed"``, ``"out of memory"`` or ``"not started"``.
    exit_code
        Exit status of the process, negative for a signal, None while it lives or never started.
    stderr_tail
        Last lines the process wrote, for the job log; never parsed.
    """

    def __init__(
        self, message: str, state: str = "failed", exit_code: int | None = None, stderr_tail: str = ""
    ) -> None:
        super().__init__(message)
        self.state = state
        self.exit_code = exit_code
        self.stderr_tail = stderr_tail
