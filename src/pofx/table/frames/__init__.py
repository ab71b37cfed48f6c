"""Reading and writing data of every accepted kind: frames, arrays and files."""
