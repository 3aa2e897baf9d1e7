//! How a command line is read: flags, separators, replacement strings, scripts, values.
