//! Time as the engine knows it.

use std::time::Duration;

/// Time since the run began.
pub(crate) type Now = Duration;
