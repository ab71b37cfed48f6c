"""pandas, polars, pyarrow, numpy and files: cells, dtypes, times."""
