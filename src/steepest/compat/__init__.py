"""Other libraries' names for what steepest does, so that a script moves by changing an import."""
