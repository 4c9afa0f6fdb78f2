"""DICOM: nothing is guessed, everything odd is said.

One file is read by `headers`, one series sorted by `gate`, its pixels decoded by `decode` and put together by
`assemble`; `seg` and `structures` read masks, `items` says what a folder holds.  `facts` are the values they share.
What serves one of them stands in a folder: `header`, `sorting`, `pixels`, `masks`.
"""
