//! Where a run keeps its files, and what strangers can do to them.
