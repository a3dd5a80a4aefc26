//! Watchkeeper: the operator's command.
