"""A textbook's notation for questions: its grammar, the tree it is read into, mistakes in it."""
