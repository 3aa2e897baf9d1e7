//! What the benchmarks share: rows with ratios, pinned processes around one segment, peers.

pub mod figure;

pub mod go;

pub mod peers;

pub mod programs;

pub mod report;

pub mod stage;
