"""Handing on what is seen: pictures, films, cases to share, and readings to go on with."""
