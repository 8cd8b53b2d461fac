"""Many photos in one call: which go where, what is done already, and the run itself."""
