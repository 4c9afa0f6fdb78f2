"""The block "View" of the Scan tab: one view or 2x2, linked zoom, and rows of other features."""

from __future__ import annotations

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QCheckBox, QLayout, QWidget

from napari_medcnn.widgets.parts import button, column, row
from napari_medcnn.widgets.views.views import FOUR, Views


class ViewSection(QWidget):
    """What concerns all views of a scan; other features put their rows below with `add_row`."""

    def __init__(self, views: Views) -> None:
        super().__init__()
        self._views = views
        self.four = button("2x2", views.toggle, "One view, or axial, coronal, sagittal and 3D together", "toggle_views")
        self.four.setCheckable(True)
        self.linked = QCheckBox("Linked zoom")
        self.linked.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.linked.setToolTip("The three planes have the same mm per pixel and the same middle")
        self.linked.toggled.connect(views.link_zoom)
        self._rows = column(self, margin=0)
        self.add_row(row(self.four, self.linked, stretch=True))
        views.layout_changed.connect(self._show)
        self._show()

    def add_row(self, content: QWidget | QLayout) -> None:
        """Put a widget or a layout below what is there."""
        if isinstance(content, QLayout):
            self._rows.addLayout(content)
        else:
            self._rows.addWidget(content)

    def _show(self) -> None:
        self.four.setChecked(self._views.layout == FOUR)
