"""What the graphics of this computer can take for the 3D view."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from vispy.gloo import gl

#: Largest preview in voxels along each side of a cube: with a graphics card, and drawn by the processor.
_SIDE, _SIDE_SOFTWARE = 256, 144
#: Triangles of all surfaces together, likewise.
_TRIANGLES, _TRIANGLES_SOFTWARE = 1_500_000, 50_000
_GL_MAX_3D_TEXTURE_SIZE = 0x8073  # vispy names only the constants of OpenGL ES 2
_SOFTWARE = ("llvmpipe", "softpipe", "swiftshader", "software", "gdi generic", "basic render")


@dataclass(frozen=True)
class Graphics:
    """Limits of a preview: voxels ``side ** 3`` in all and `largest` along one axis; `software` if there is no card."""

    side: int = _SIDE_SOFTWARE
    largest: int = _SIDE
    software: bool = True

    @property
    def triangles(self) -> int:
        """About how many triangles of all surfaces together can still be turned smoothly."""
        return _TRIANGLES_SOFTWARE if self.software else _TRIANGLES


def graphics_of(canvas: Any) -> Graphics:
    """Ask the OpenGL context of a canvas; the cautious answer before it was ever drawn."""
    if not canvas.isValid():
        return Graphics()
    canvas.makeCurrent()
    largest = gl.glGetParameter(_GL_MAX_3D_TEXTURE_SIZE)
    renderer = str(gl.glGetParameter(gl.GL_RENDERER)).lower()
    canvas.doneCurrent()
    software = any(word in renderer for word in _SOFTWARE)
    most = int(largest) if isinstance(largest, int) and largest > 0 else _SIDE
    return Graphics(_SIDE_SOFTWARE if software else _SIDE, min(most, 2048), software)
