"""Reading one header: elements, kinds of objects, frames, vendors' private parts."""
