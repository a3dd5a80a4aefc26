//! Positioned YAML, durations, sizes, units and secrets; every problem with file, line and column.
