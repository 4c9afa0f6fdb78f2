"""Correction tools as pure functions: a `Mask` and options in, an `Edit` out (docs/decisions/correction-tools.md).

One family per module: `brush` (paint and erase along a path), `lasso`, `flood` (fill a piece or a hole), `grow` (from
a seed, with a live threshold), `between` (fill between slices), `seeds` (grow from seeds), `refine` (scribbles with the
model's probabilities), `islands`, `holes`, `smooth`, `margin`, `combine` (threshold, booleans, copy a slice) and
`model` (accept or reject the model in a box).
"""
