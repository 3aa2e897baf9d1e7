//! What the journal says of tasks, and what a resume makes of it.
