"""Records: a batch's CSV files are read by contract, stripped of identifiers, searched, and stored."""
