"""Why a network said that: one question put to one network, the methods that answer it, and the check of a map."""
