//! What commands start, what they leave behind, and how they are stopped.
